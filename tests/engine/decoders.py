"""The engine's decoders, as the system shows them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from finetune_portal.engine.images.decoder import CHILD


def children(of: str = "self") -> Iterator[int]:
    """The decoders among the children of a process, and of its children."""
    for listed in Path(f"/proc/{of}/task").glob("*/children"):
        pids: list[str] = []
        with suppress(OSError):  # the thread ended since
            pids = listed.read_text().split()
        for pid in pids:
            with suppress(OSError):
                if CHILD.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                    yield int(pid)
                else:
                    yield from children(pid)


def limits(pid: int) -> dict[str, list[str]]:
    """Soft and hard limit, by name."""
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    return {line[4:26].strip(): line[26:].split()[:2] for line in lines}


def decoding(of: str = "self") -> int:
    """The child that decodes an image: that has a limit of CPU for it. 0 while there is none."""
    for pid in children(of):
        with suppress(OSError):
            soft, hard = limits(pid)["cpu time"]
            if soft != hard:
                return pid
    return 0


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # the second if it goes while it is read
        return True
