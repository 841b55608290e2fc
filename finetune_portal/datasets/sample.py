"""The sample dataset: six drawn pairs, day to night, so that a newcomer can train at once.

`python -m tests.draw_sample` draws it again.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

FILENAME = "day to night.zip"  # its name in the library
PATH = Path(__file__).with_name("sample-dataset.zip")
CAPTION = "turn day into night, with a moon and lit windows"


@cache
def make() -> bytes:
    """A ZIP in the provider's layout: 01_start.png, 01_end.png, 01.txt and so on."""
    return PATH.read_bytes()
