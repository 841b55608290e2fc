"""Runs the lanes, each in its own thread, until told to stop."""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime

from django.db import DatabaseError, connections
from django.utils.timezone import now

from finetune_portal.queue import data_version
from finetune_portal.worker.models import Heartbeat
from finetune_portal.worker.tasks import LANES, Lane

log = logging.getLogger(__name__)
FIRST_BEAT, BEAT = 0.2, 10.0
AFTER_FAULT = 2.0
STOP_SECONDS = 6.0  # less than the supervisor waits
Beats = dict[str, datetime]


def run(stop: threading.Event) -> None:
    """Blocks until `stop` is set and the lanes have ended their steps, or until that takes too long."""
    beats: Beats = {}
    threads = [
        threading.Thread(target=_keep_going, args=(lane, beats, stop), name=lane.name, daemon=True)
        for lane in LANES
    ]
    for thread in threads:
        thread.start()
    pause = FIRST_BEAT
    while not stop.wait(pause):
        _tell(beats)
        pause = BEAT
    latest = time.monotonic() + STOP_SECONDS
    for thread in threads:
        thread.join(timeout=max(0.0, latest - time.monotonic()))


def _tell(beats: Beats) -> None:
    """One commit for all lanes: each commit makes every lane look."""
    rows = [Heartbeat(lane=lane, at=at) for lane, at in beats.copy().items()]
    try:
        Heartbeat.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["lane"], update_fields=["at"]
        )
    except DatabaseError:
        log.exception("The sign of life could not be written")
        connections.close_all()


def _keep_going(lane: Lane, beats: Beats, stop: threading.Event) -> None:
    """A step is taken when somebody wrote something, and every now and then for what falls due by itself."""
    seen, stepped = "", 0.0
    while not stop.is_set():
        pause = lane.pause
        try:
            beats[lane.name] = now()
            version = data_version.version()
            if version != seen or time.monotonic() - stepped >= lane.idle:
                seen, stepped = version, time.monotonic()
                if lane.step():
                    seen, pause = "", 0.0
        except DatabaseError:
            log.exception("The lane %s met a database fault", lane.name)
            connections.close_all()
            pause = AFTER_FAULT
        except Exception:  # noqa: BLE001 - one bad row must not end the lane for all others
            log.exception("The lane %s stumbled", lane.name)
            pause = AFTER_FAULT
        stop.wait(pause)
    connections.close_all()
