"""A fake Replicate and plain calls to it, for one test each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.replicate.calls import Calls
from tests.replicate.server import FakeReplicate


@pytest.fixture
def replicate() -> Iterator[FakeReplicate]:
    with FakeReplicate() as running:
        yield running


@pytest.fixture
def calls(replicate: FakeReplicate) -> Calls:
    return Calls(replicate)
