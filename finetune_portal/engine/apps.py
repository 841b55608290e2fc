"""The engine as a Django app."""

from __future__ import annotations

from django.apps import AppConfig


class EngineConfig(AppConfig):
    name = "finetune_portal.engine"
    label = "engine"
    default_auto_field = "django.db.models.BigAutoField"
