"""Registers the start checks: importing them is all it takes."""

from __future__ import annotations

from django.apps import AppConfig

from finetune_portal import checks  # noqa: F401


class WebConfig(AppConfig):
    name = "finetune_portal.web"
