"""Walk the pages of a list, as many as a limited time allows: other accounts wait meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator

MOST_PAGES = 50
SECONDS = 10.0  # after which no further page is asked for; with the last answer less than the lease of a poll


def turns() -> Iterator[None]:
    """Yield before each page. The first one is asked for in any case."""
    ends = time.monotonic() + SECONDS
    for _ in range(MOST_PAGES):
        yield
        if time.monotonic() > ends:
            return
