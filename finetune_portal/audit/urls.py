"""URLs of the audit record."""

from __future__ import annotations

from django.urls import path

from finetune_portal.audit import views

app_name = "audit"
urlpatterns = [
    path("audit/", views.events, name="list"),
    path("audit/csv/", views.as_csv, name="csv"),
]
