"""Registers the start checks."""

from __future__ import annotations

from django.apps import AppConfig


class WebConfig(AppConfig):
    name = "finetune_portal.web"

    def ready(self) -> None:
        from finetune_portal import checks  # noqa: F401 - importing registers them
