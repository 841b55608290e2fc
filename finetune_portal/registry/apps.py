"""The registry app."""

from __future__ import annotations

from django.apps import AppConfig

from finetune_portal.jobs import shown


class RegistryConfig(AppConfig):
    name = "finetune_portal.registry"

    def ready(self) -> None:
        shown.RELATIONS.append("model__files")  # for the badge of a job (templatetags/registry.py)
