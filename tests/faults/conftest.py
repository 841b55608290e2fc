"""A prepared portal for the fault cases, on a database of its own beside that of the other tests."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.portal import Workshop

MEMORY = Path("/dev/shm")


@pytest.fixture
def workshop(settings: Any, django_db_blocker: Any) -> Iterator[Workshop]:
    """In memory where the machine has such a folder: a killed process loses nothing there either."""
    root = Path(tempfile.mkdtemp(prefix="faults-", dir=MEMORY if MEMORY.is_dir() else None))
    settings.POLL_SECONDS, settings.POLL_IDLE_SECONDS = 20.0, 60.0
    with django_db_blocker.unblock():
        made = Workshop(root)
        try:
            made.prepare()
            yield made
        finally:
            shutil.rmtree(root)
