"""Places for decoders. Requests get the next free one, then datasets in the order in which they asked."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

from finetune_portal.engine.images.errors import DecoderUnavailableError

LOOK_SECONDS = 0.5  # between two calls of `check_in`
BUSY = "The engine is busy with other pictures."


class Places:
    def __init__(self, count: int, *, requests_waiting: int) -> None:
        """`requests_waiting`: how many requests may wait, so that threads are left for others."""
        self._free, self._requests_waiting = count, requests_waiting
        self._tickets: list[tuple[bool, int]] = []  # of those who wait; the smallest is next
        self._numbers = itertools.count()
        self._changed = threading.Condition()

    @property
    def waiting(self) -> int:
        """How many wait for a place."""
        return len(self._tickets)

    def take(self, check_in: Callable[[], None], *, is_request: bool) -> None:
        """Wait for a place. `check_in` is called meanwhile, and raises when the waiting is to end.

        Raises DecoderUnavailableError at once where too many requests wait.
        """
        ticket = self._queued(is_request=is_request)
        try:
            while not self._taken(ticket):
                check_in()
        finally:
            with self._changed:
                self._tickets.remove(ticket)
                self._changed.notify_all()

    def give_back(self) -> None:
        with self._changed:
            self._free += 1
            self._changed.notify_all()

    def _queued(self, *, is_request: bool) -> tuple[bool, int]:
        with self._changed:
            requests = sum(not is_dataset for is_dataset, _ in self._tickets)
            if is_request and requests >= self._requests_waiting:
                raise DecoderUnavailableError(BUSY)
            ticket = (not is_request, next(self._numbers))
            self._tickets.append(ticket)
            return ticket

    def _taken(self, ticket: tuple[bool, int]) -> bool:
        """Whether the ticket got a place within LOOK_SECONDS."""
        with self._changed:
            is_next = self._changed.wait_for(
                lambda: self._free > 0 and min(self._tickets) == ticket, LOOK_SECONDS
            )
            self._free -= is_next
            return is_next
