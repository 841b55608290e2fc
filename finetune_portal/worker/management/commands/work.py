"""`manage.py work`: the worker process. Any number may run; rows are leased."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from finetune_portal.datasets import retention
from finetune_portal.registry import retention as model_retention
from finetune_portal.storage.files import clear_drafts
from finetune_portal.web.checks import ENVIRONMENT
from finetune_portal.worker import loop
from finetune_portal.worker.stop_signals import stop_event


class Command(BaseCommand):
    """Transfer datasets, submit and follow jobs, process webhooks, until SIGTERM or Ctrl-C."""

    help = "Run the background worker."
    requires_system_checks = [ENVIRONMENT]

    def handle(self, *args: Any, **options: Any) -> None:
        stop = stop_event()
        clear_drafts(settings.DATA_DIR)
        retention.clear_orphans()
        model_retention.clear_orphans()
        self.stdout.write("The worker is running.")
        loop.run(stop)
