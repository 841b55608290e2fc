"""The table at the root, jobs under /jobs/, the API connection under /settings/."""

from __future__ import annotations

from django.urls import path

from finetune_portal.jobs import views

app_name = "jobs"
urlpatterns = [
    path("", views.job_list, name="list"),
    path("jobs/table/", views.job_table, name="table"),
    path("jobs/new/", views.job_new, name="new"),
    path("jobs/<int:pk>/", views.job_detail, name="detail"),
    path("jobs/<int:pk>/state/", views.job_state, name="state"),
    path("jobs/<int:pk>/public/", views.set_public, name="set-public"),
    path("jobs/<int:pk>/download/", views.download, name="download"),
    path("jobs/<int:pk>/withdraw/", views.withdraw, name="withdraw"),
    path("jobs/<int:pk>/decide/", views.decide, name="decide"),
    path("settings/", views.connection, name="connection"),
    path("settings/test/", views.test_connection, name="test-connection"),
]
