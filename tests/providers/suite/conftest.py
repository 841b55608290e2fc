"""Each provider in turn, and a look at all that reached it: the key is nowhere but in its header."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.providers.suite.subject import Subject
from tests.providers.suite.subjects import SUBJECTS


@pytest.fixture(params=SUBJECTS)
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    with SUBJECTS[request.param](request) as started:
        yield started
        keys = [key.encode() for key in (started.account.key, started.account.admin_key) if key]
        assert not [shown for shown in started.shown() if any(key in shown for key in keys)]
