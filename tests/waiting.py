"""Wait for what another process or thread brings about."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE = float(os.environ.get("TEST_PATIENCE", "1"))  # more on a machine that has other work to do


# `...`: a lambda made in a loop holds the loop's variable as a default.
def until(condition: Callable[..., T | None], *, seconds: float = 60, why: str = "") -> T:
    """Ask again until the answer is true, and return it; fail after so many seconds."""
    latest = time.monotonic() + seconds * PATIENCE
    while not (answer := condition()):
        assert time.monotonic() < latest, f"not within {seconds} s: {why or 'what was waited for'}"
        time.sleep(0.05)
    return answer
