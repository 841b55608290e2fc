"""The gateway app."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "finetune_portal.gateway"

    def ready(self) -> None:
        import_module("finetune_portal.gateway.signals")
