"""The web app. Importing its checks registers them."""

from __future__ import annotations

from django.apps import AppConfig

from finetune_portal.web import checks  # noqa: F401


class WebConfig(AppConfig):
    name = "finetune_portal.web"
