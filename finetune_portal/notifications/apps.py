"""The notifications app."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    """The label stays `notices`: running portals have tables and migration rows of that name."""

    name = "finetune_portal.notifications"
    label = "notices"

    def ready(self) -> None:
        import_module("finetune_portal.notifications.signals")
