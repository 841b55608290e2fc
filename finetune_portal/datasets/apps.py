"""The datasets app."""

from __future__ import annotations

from django.apps import AppConfig


class DatasetsConfig(AppConfig):
    name = "finetune_portal.datasets"
