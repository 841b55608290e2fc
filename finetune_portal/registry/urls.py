"""The files of models under /jobs/, and the page of the copies among the settings."""

from __future__ import annotations

from django.urls import path

from finetune_portal.registry import views

app_name = "registry"
urlpatterns = [
    path("jobs/links/", views.links, name="links"),
    path("jobs/<int:pk>/download/", views.download, name="download"),
    path("jobs/<int:pk>/file/", views.signed_file, name="file"),
    path("jobs/<int:pk>/copy/", views.copy, name="copy"),
    path("settings/models/", views.page, name="page"),
    path("settings/models/copy/", views.copy_all, name="copy-all"),
]
