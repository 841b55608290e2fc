"""The costs app."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class CostsConfig(AppConfig):
    name = "finetune_portal.costs"

    def ready(self) -> None:
        import_module("finetune_portal.costs.signals")
