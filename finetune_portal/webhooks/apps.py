"""The webhooks app."""

from __future__ import annotations

from django.apps import AppConfig

from finetune_portal.webhooks import checks  # noqa: F401 - registers the start checks


class WebhooksConfig(AppConfig):
    name = "finetune_portal.webhooks"
