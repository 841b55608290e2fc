"""Decode images inside the limits that decoder.py sets. No Django.

    python -m finetune_portal.engine.images.child MEMORY CPU TOTAL_CPU

MEMORY is the bytes of address space; CPU is the seconds for each image, and TOTAL_CPU those for all. Standard
input carries images, each behind a line with its bytes and how many pixels it may have. Standard output gets
an empty line when the limits are set, then a line for each image: what is wrong with it, empty if nothing.
The process ends with standard input; on Linux it ends at once with the thread that started it.
"""

from __future__ import annotations

import ctypes
import math
import resource
import signal
import sys
import time
from contextlib import suppress

from finetune_portal.engine.images import pixels
from finetune_portal.engine.images.errors import ImageError

PR_SET_PDEATHSIG = 1
TOO_MUCH_MEMORY = "needs too much memory to decode."


def main(memory: int, cpu: int, total_cpu: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for kind, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, total_cpu),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _limit(kind, most, most)
    _answer("")
    with open(0, "rb", closefd=False) as stdin:
        while header := stdin.readline():
            size, max_pixels = map(int, header.split())
            # The soft limit has a signal of its own, which tells a slow image from other ends.
            _limit(resource.RLIMIT_CPU, min(total_cpu, math.ceil(time.process_time()) + cpu), total_cpu)
            _answer(_fault(stdin.read(size), max_pixels))


def _limit(kind: int, soft: int, hard: int) -> None:
    """Limit this process. A system that lacks the limit, such as macOS, goes without."""
    with suppress(ValueError, OSError):
        resource.setrlimit(kind, (soft, hard))


def _fault(content: bytes, max_pixels: int) -> str:
    try:
        pixels.check(content, max_pixels=max_pixels)
    except ImageError as error:
        return str(error)
    except MemoryError:
        return TOO_MUCH_MEMORY
    return ""


def _answer(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
