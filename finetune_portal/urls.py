"""All addresses of the portal: each app brings its own."""

from __future__ import annotations

from django.urls import include, path

from finetune_portal.web import views

urlpatterns = [
    path("", include("finetune_portal.jobs.urls")),
    path("", include("finetune_portal.registry.urls")),
    path("", include("finetune_portal.datasets.urls")),
    path("", include("finetune_portal.playground.urls")),
    path("", include("finetune_portal.accounts.urls")),
    path("", include("finetune_portal.audit.urls")),
    path("", include("finetune_portal.projects.urls")),
    path("", include("finetune_portal.connections.urls")),
    path("", include("finetune_portal.costs.urls")),
    path("", include("finetune_portal.accounts.factor_urls")),
    path("", include("finetune_portal.jobs.people_urls")),
    path("", include("finetune_portal.notifications.urls")),
    path("", include("finetune_portal.webhooks.urls")),
    path("", include("finetune_portal.deletion.urls")),
    path("", include("finetune_portal.gateway.urls")),
    path("healthz", views.healthz, name="healthz"),
    path("csp-report/", views.csp_report, name="csp-report"),
    path("look/", views.choose_look, name="look"),
    path("", include("finetune_portal.operations.urls")),
]

handler500 = "finetune_portal.web.views.server_error"
