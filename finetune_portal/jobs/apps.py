"""The jobs app."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "finetune_portal.jobs"

    def ready(self) -> None:
        import_module("finetune_portal.jobs.signals")
