"""What decoding an image may cost."""

from __future__ import annotations

from dataclasses import dataclass

MAX_PIXELS = 100_000_000


@dataclass(frozen=True)
class Limits:
    """Bytes of address space, seconds of CPU for an image and for a child, seconds on the clock for an image.

    Address space counts reserved memory, too.
    """

    memory: int = 2 * 1024**3  # a WebP of MAX_PIXELS takes 1.6 GB
    cpu: int = 20
    total_cpu: int = 600
    clock: float = 60.0
