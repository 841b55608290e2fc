"""The projects app."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class ProjectsConfig(AppConfig):
    name = "finetune_portal.projects"

    def ready(self) -> None:
        import_module("finetune_portal.projects.signals")
