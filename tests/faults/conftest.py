"""A prepared portal for the fault cases, on a database of its own beside that of the other tests."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.faults.at_fal import FAL
from tests.faults.at_segmind import SEGMIND
from tests.faults.portal import Workshop
from tests.faults.targets import Target

TARGETS = (SEGMIND, FAL)
MEMORY = Path("/dev/shm")


@pytest.fixture
def workshop(settings: Any, django_db_blocker: Any) -> Iterator[Workshop]:
    """One whose provider is Segmind."""
    with ready(SEGMIND, settings, django_db_blocker) as made:
        yield made


@pytest.fixture(params=TARGETS, ids=str)
def each_workshop(
    request: pytest.FixtureRequest, settings: Any, django_db_blocker: Any
) -> Iterator[Workshop]:
    """One for each provider."""
    with ready(request.param, settings, django_db_blocker) as made:
        yield made


@contextmanager
def ready(target: Target, settings: Any, django_db_blocker: Any) -> Iterator[Workshop]:
    settings.POLL_SECONDS, settings.POLL_IDLE_SECONDS = 20.0, 60.0
    with django_db_blocker.unblock():
        yield prepared(target)


@cache
def prepared(target: Target) -> Workshop:
    """Prepare one workshop of a provider for all tests, in memory where the machine has such a folder.

    A killed process loses nothing there either.
    """
    root = Path(tempfile.mkdtemp(prefix="faults-", dir=MEMORY if MEMORY.is_dir() else None))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    made = Workshop(root, target)
    made.prepare()
    return made
