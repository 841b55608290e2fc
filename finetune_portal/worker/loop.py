"""Run the periodic tasks, each in a thread of its own, until the worker is asked to stop."""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError, connections
from django.urls import set_script_prefix
from django.utils.timezone import now

from finetune_portal.queue import data_version
from finetune_portal.worker.models import Heartbeat
from finetune_portal.worker.tasks import TASKS, PeriodicTask

log = logging.getLogger(__name__)
FIRST_BEAT, BEAT = 0.2, 10.0  # seconds
PAUSE_AFTER_ERROR = 2.0
STOP_SECONDS = 6.0  # less than the supervisor waits
Beats = dict[str, datetime]


def run(stop: threading.Event) -> None:
    """Block until `stop` is set and the tasks have ended their steps, at most STOP_SECONDS later."""
    beats: Beats = {}
    threads = [
        threading.Thread(target=_run_task, args=(task, beats, stop), name=task.name, daemon=True)
        for task in TASKS
    ]
    for thread in threads:
        thread.start()
    pause = FIRST_BEAT
    while not stop.wait(pause):
        _write_heartbeats(beats)
        pause = BEAT
    latest = time.monotonic() + STOP_SECONDS
    for thread in threads:
        thread.join(timeout=max(0.0, latest - time.monotonic()))


def _write_heartbeats(beats: Beats) -> None:
    """Write all heartbeats in one commit: each commit wakes every task."""
    rows = [Heartbeat(task=task, beat_at=beat_at) for task, beat_at in beats.copy().items()]
    try:
        Heartbeat.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["task"], update_fields=["beat_at"]
        )
    except DatabaseError:
        log.exception("The heartbeats could not be written")
        connections.close_all()


def _run_task(task: PeriodicTask, beats: Beats, stop: threading.Event) -> None:
    """Take a step when the database changed, and at intervals for what becomes due by itself."""
    seen, stepped_at = "", 0.0
    set_script_prefix(f"{settings.FORCE_SCRIPT_NAME or ''}/")  # a thread has its own
    while not stop.is_set():
        pause = task.pause
        try:
            beats[task.name] = now()
            version = data_version.version()
            if version != seen or time.monotonic() - stepped_at >= task.idle:
                seen, stepped_at = version, time.monotonic()
                if task.step():
                    seen, pause = "", 0.0
        except DatabaseError:
            log.exception("The task %s met a database error", task.name)
            connections.close_all()
            pause = PAUSE_AFTER_ERROR
        except Exception:
            log.exception("The task %s failed", task.name)
            pause = PAUSE_AFTER_ERROR
        stop.wait(pause)
    connections.close_all()
