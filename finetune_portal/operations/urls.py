"""URLs for the operator's tools."""

from __future__ import annotations

from django.urls import path

from finetune_portal.operations import views

urlpatterns = [
    path("readyz", views.readyz, name="readyz"),
    path("metrics", views.prometheus, name="metrics"),
]
