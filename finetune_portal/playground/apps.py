"""The playground app."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig
from django.db.models import Prefetch

from finetune_portal.jobs import shown


class PlaygroundConfig(AppConfig):
    name = "finetune_portal.playground"

    def ready(self) -> None:
        import_module("finetune_portal.playground.signals")
        # The models can be imported only now.
        generations = self.get_model("Generation")._default_manager
        latest = generations.filter(compare_to=None, state="done").exclude(strength=0).order_by("-pk")[:1]
        shown.ROW_RELATIONS.append(Prefetch("generations", latest, to_attr="latest_results"))
