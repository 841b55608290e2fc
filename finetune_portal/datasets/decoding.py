"""Decode pictures of others: in the checker's limited child, and few at a time.

A child may take a core and most of a gigabyte, so the processes on this disk share AT_ONCE places, as locks
that end with their holder. Whoever waits in a request gets a sentence after REQUEST_SECONDS, and at once
where WAITING others wait in the same process, so that threads are left for pages.
"""

from __future__ import annotations

import fcntl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from django.conf import settings

from finetune_portal.datasets import checker
from finetune_portal.storage import files
from finetune_portal.web.busy import BusyError

AT_ONCE = 2
REQUEST_SECONDS = 20.0
WAITING = 6  # of the threads of a web process; see web/asgi_handler.py
PAUSE = 0.05
TRIES = 3
BUSY = "The portal is busy with other pictures, so this was not started. Try again in a few seconds."
SLICE_SECONDS = 3.0  # after which others get their turn

_waiting = threading.BoundedSemaphore(WAITING)


def make_pictures(tasks: Sequence[checker.PictureTask], seconds: float = SLICE_SECONDS) -> list[str]:
    """As `checker.make_pictures`, when its turn comes. For the worker, which may wait.

    On a machine where not even the first is made in time, it is tried again.
    """
    outcomes = ["later"] * len(tasks)
    for _ in range(TRIES):
        if outcomes[0] == "later":
            with _place(float("inf")):
                outcomes = checker.make_pictures(tasks, seconds, files.room())
    return outcomes


def make_pictures_in_request(
    tasks: Sequence[checker.PictureTask], seconds: float = SLICE_SECONDS
) -> list[str]:
    """The same for a request. Raises BusyError instead of waiting for long."""
    if not _waiting.acquire(blocking=False):
        raise BusyError(BUSY)
    try:
        with _place(REQUEST_SECONDS):
            return checker.make_pictures(tasks, seconds, files.room())
    finally:
        _waiting.release()


def picture_formats(contents: Sequence[bytes]) -> list[str | None]:
    """The formats of pictures that can be decoded to their end, such as “png”; empty for anything else.

    None for those that the time was too short for, but never the first: one that ends each child is no
    picture for this machine. Raises DiskFullError.
    """
    with ExitStack() as stack:
        tasks = [format_task(stack.enter_context(_file_of(content))) for content in contents]
        first, *others = make_pictures(tasks)
    outcomes = ["broken" if first == "later" else first, *others]
    formats = {"later": None, **dict.fromkeys(checker.FAILURES, "")}
    return [formats.get(outcome, outcome) for outcome in outcomes]


@contextmanager
def _file_of(content: bytes) -> Iterator[Path]:
    with files.draft(len(content)) as source:
        files.fill(source, content)
        yield source


def format_task(source: Path) -> checker.PictureTask:
    return checker.PictureTask(str(source), "", "", 0, "format")


@contextmanager
def _place(seconds: float) -> Iterator[None]:
    """Hold one of the places. Raises BusyError if none is free for so many seconds."""
    folder = Path(settings.DATA_DIR) / "locks"
    latest = time.monotonic() + seconds
    while (place := _free_place(folder)) is None:
        if time.monotonic() > latest:
            raise BusyError(BUSY)
        time.sleep(PAUSE)
    with place:
        yield


def _free_place(folder: Path) -> IO[str] | None:
    for number in range(AT_ONCE):
        file = files.open_lock(folder / f"decoding-{number}")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
        else:
            return file
    return None
