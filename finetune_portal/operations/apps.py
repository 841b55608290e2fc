"""The operations app. It has commands and pages, but no models."""

from __future__ import annotations

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "finetune_portal.operations"
