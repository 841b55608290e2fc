"""The audit app."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate

from finetune_portal.audit import append_only, checks  # noqa: F401 - registers the start checks


class AuditConfig(AppConfig):
    name = "finetune_portal.audit"

    def ready(self) -> None:
        post_migrate.connect(append_only.install, sender=self)
