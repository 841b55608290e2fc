"""The connections app."""

from __future__ import annotations

from django.apps import AppConfig

from finetune_portal.connections import checks  # noqa: F401 - registers the start checks


class ConnectionsConfig(AppConfig):
    name = "finetune_portal.connections"
