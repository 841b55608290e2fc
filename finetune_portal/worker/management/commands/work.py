"""`manage.py work`: the worker process. Any number may run; rows are leased."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from finetune_portal.storage.files import clear_drafts
from finetune_portal.web.checks import ENVIRONMENT
from finetune_portal.worker import loop


class Command(BaseCommand):
    """Transfer datasets, submit and follow jobs, process webhooks, until SIGTERM or Ctrl-C."""

    help = "Run the background worker."
    requires_system_checks = [ENVIRONMENT]

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        clear_drafts(settings.DATA_DIR)
        self.stdout.write("The worker is running.")
        loop.run(stop)
