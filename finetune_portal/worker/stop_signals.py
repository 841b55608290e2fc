"""SIGTERM and Ctrl-C as an event that threads can wait for."""

from __future__ import annotations

import signal
import threading
from queue import SimpleQueue


def stop_event() -> threading.Event:
    """Return an event that is set when the process is asked to stop. Call it in the main thread.

    The handler does not set the event itself: it runs between two steps of the main thread, which may hold
    the event's lock at that moment and would wait for itself for good. `SimpleQueue.put` is made for that.
    """
    stop, signals = threading.Event(), SimpleQueue[int]()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: signals.put(number))

    def wait_for_signal() -> None:
        signals.get()
        stop.set()

    threading.Thread(target=wait_for_signal, name="stop", daemon=True).start()
    return stop
