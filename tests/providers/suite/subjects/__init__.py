"""The providers that the suite tries: a new one is a file here and a line in SUBJECTS."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.providers.suite.subject import Subject
from tests.providers.suite.subjects import engine, fal, replicate, segmind

# Each starts a subject of its own for one test.
SUBJECTS: dict[str, Callable[[pytest.FixtureRequest], AbstractContextManager[Subject]]] = {
    "segmind": segmind.started,
    "engine": engine.started,
    "fal": fal.started,
    "replicate": replicate.started,
}
