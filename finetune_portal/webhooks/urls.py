"""Webhooks in, and their address."""

from __future__ import annotations

from django.urls import path

from finetune_portal.webhooks import views

app_name = "webhooks"
urlpatterns = [
    path("hooks/segmind/<str:token>/", views.receive, name="receive"),
    path("settings/webhook/", views.rotate, name="rotate"),
]
