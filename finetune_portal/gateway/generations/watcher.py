"""Wait for generations to end without a thread for each: one task in each process asks for all of them."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextvars import Context

from django.db import DatabaseError

from finetune_portal.playground.models import Generation
from finetune_portal.web.asgi import run_in_thread

log = logging.getLogger(__name__)
CHECK_SECONDS = 0.25
PAUSE_AFTER_ERROR = 2.0


class Watcher:
    """The generations that callers of this process wait for. Everything runs in the one event loop."""

    def __init__(self) -> None:
        self._waiting: Counter[int] = Counter()  # callers by the key of the generation
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._active: set[int] = set()

    async def wait(self, pk: int) -> None:
        """Return once the generation has ended, or was deleted."""
        self._waiting[pk] += 1
        self._active.add(pk)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch(), context=Context())  # outside any request
        try:
            async with self._changed:
                await self._changed.wait_for(lambda: pk not in self._active)
        finally:
            self._waiting -= Counter([pk])

    async def _watch(self) -> None:
        while self._waiting:
            pause, asked = CHECK_SECONDS, set(self._waiting)
            try:
                active = await run_in_thread(_active_of, asked)
            except DatabaseError:
                log.exception("The ends of generations cannot be read from the database.")
                pause = PAUSE_AFTER_ERROR
            else:
                self._active = active | (set(self._waiting) - asked)
                async with self._changed:
                    self._changed.notify_all()
            await asyncio.sleep(pause)


def _active_of(keys: set[int]) -> set[int]:
    active = (Generation.State.QUEUED, Generation.State.RUNNING)
    return set(Generation.objects.filter(pk__in=keys, state__in=active).values_list("pk", flat=True))


watcher = Watcher()
