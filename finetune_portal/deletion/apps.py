"""The deletion app: delete jobs and datasets with all that was made of them."""

from __future__ import annotations

from django.apps import AppConfig


class DeletionConfig(AppConfig):
    name = "finetune_portal.deletion"
