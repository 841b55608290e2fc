"""A thread that does what is due, then sleeps until more is, or until somebody wakes it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from django.db import OperationalError, connections

MAX_SLEEP = 1.0  # seconds

log = logging.getLogger(__name__)


class Poller:
    """Calls `do_due` in a loop. It returns how many seconds to sleep."""

    def __init__(self, name: str, do_due: Callable[[], float]) -> None:
        self._name, self._do_due = name, do_due
        self._woken = threading.Event()
        self._stopping = threading.Event()

    def start(self) -> None:
        # A daemon, because work that hangs must not hold up the end of the process.
        threading.Thread(target=self._run, name=self._name, daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()
        self._woken.set()

    def wake(self) -> None:
        """There may be something to do now."""
        self._woken.set()

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def wait_for_stop(self, seconds: float) -> None:
        self._stopping.wait(seconds)

    def _run(self) -> None:
        while not self.is_stopping:
            seconds = MAX_SLEEP
            try:
                seconds = self._do_due()
            except OperationalError as error:
                log.error("The database did not answer: %s.", error)
            self._woken.wait(min(MAX_SLEEP, seconds))
            self._woken.clear()
        connections.close_all()
