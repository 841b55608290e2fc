"""A prepared portal for the fault cases, on a database of its own beside that of the other tests."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.faults.portal import Workshop

MEMORY = Path("/dev/shm")


@pytest.fixture
def workshop(settings: Any, django_db_blocker: Any) -> Iterator[Workshop]:
    settings.POLL_SECONDS, settings.POLL_IDLE_SECONDS = 20.0, 60.0
    with django_db_blocker.unblock():
        yield prepared()


@cache
def prepared() -> Workshop:
    """Prepare one workshop for all tests, in memory where the machine has such a folder.

    A killed process loses nothing there either.
    """
    root = Path(tempfile.mkdtemp(prefix="faults-", dir=MEMORY if MEMORY.is_dir() else None))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    made = Workshop(root)
    made.prepare()
    return made
