"""Runs the lanes, each in its own thread, until told to stop."""

from __future__ import annotations

import logging
import threading
import time

from django.db import DatabaseError, connections
from django.utils.timezone import now

from finetune_portal.worker.lanes import LANES, Lane
from finetune_portal.worker.models import Heartbeat

log = logging.getLogger(__name__)
BEAT = 10.0
AFTER_FAULT = 2.0
STOP_SECONDS = 6.0  # less than the supervisor waits


def run(stop: threading.Event) -> None:
    """Blocks until `stop` is set and the lanes have ended their steps, or until that takes too long."""
    threads = [
        threading.Thread(target=_keep_going, args=(lane, stop), name=lane.name, daemon=True) for lane in LANES
    ]
    for thread in threads:
        thread.start()
    while not stop.wait(BEAT):
        pass
    latest = time.monotonic() + STOP_SECONDS
    for thread in threads:
        thread.join(timeout=max(0.0, latest - time.monotonic()))


def _keep_going(lane: Lane, stop: threading.Event) -> None:
    beaten = 0.0
    while not stop.is_set():
        pause = lane.pause
        try:
            if now().timestamp() - beaten > BEAT:
                Heartbeat.objects.update_or_create(lane=lane.name, defaults={"at": now()})
                beaten = now().timestamp()
            if lane.step():
                pause = 0.0
        except DatabaseError:
            log.exception("The lane %s met a database fault", lane.name)
            connections.close_all()
            pause = AFTER_FAULT
        except Exception:  # noqa: BLE001 - one bad row must not end the lane for all others
            log.exception("The lane %s stumbled", lane.name)
            pause = AFTER_FAULT
        stop.wait(pause)
    connections.close_all()
