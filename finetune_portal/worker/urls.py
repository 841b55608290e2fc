"""Readiness, for the operator's tools."""

from __future__ import annotations

from django.urls import path

from finetune_portal.worker import views

urlpatterns = [path("", views.readyz, name="readyz")]
