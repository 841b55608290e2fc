"""A fake fal and plain calls to it, for one test each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fal.calls import Calls
from tests.fal.server import FakeFal


@pytest.fixture
def fal() -> Iterator[FakeFal]:
    with FakeFal() as running:
        yield running


@pytest.fixture
def calls(fal: FakeFal) -> Calls:
    return Calls(fal)
