"""The accounts app. Its signals need the models, so they are connected once all apps are loaded."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig

from finetune_portal.accounts import checks  # noqa: F401 - registers the start checks


class AccountsConfig(AppConfig):
    name = "finetune_portal.accounts"

    def ready(self) -> None:
        import_module("finetune_portal.accounts.signals")
