"""The GPUs of this machine, asked of the driver (no package is needed for it), and who has which."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from finetune_portal import env

CPU = ""


def found() -> list[str]:
    """What CUDA_VISIBLE_DEVICES may be, one training each: as many GPUs as one takes, or the CPU."""
    gpus = _gpus()
    each = min(env.integer("ENGINE_GPUS_PER_TRAINING", 1, least=1), len(gpus))
    return [",".join(gpus[at : at + each]) for at in range(0, len(gpus) - each + 1, each)]


def _gpus() -> list[str]:
    if (given := env.text("CUDA_VISIBLE_DEVICES")) or "CUDA_VISIBLE_DEVICES" in env.whole():
        return given.split(",") if given else [CPU]
    try:
        asked = subprocess.run(  # nosec B603 B607  # a fixed command, found by PATH
            ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return [CPU]
    return asked.stdout.split() or [CPU]


class Devices:
    """Those that are free. Trainings go first: a picture is made on what none of them waits for."""

    def __init__(self, names: list[str]) -> None:
        self.count = len(names)
        self.is_wanted = False
        self._free = list(names)
        self._waiting = 0
        self._changed = threading.Condition()

    def take(self, seconds: float, *, unless_wanted: bool = False) -> str | None:
        """One of them, or None if there is none within so many seconds."""

        def is_there() -> bool:
            return bool(self._free) and not (unless_wanted and self.is_wanted)

        with self._changed:
            return self._free.pop(0) if self._changed.wait_for(is_there, seconds) else None

    def give(self, name: str) -> None:
        with self._changed:
            self._free.append(name)
            self._changed.notify_all()

    @contextmanager
    def wanted(self) -> Iterator[None]:
        """Around the waiting of a training."""
        self._wait(+1)
        try:
            yield
        finally:
            self._wait(-1)

    def _wait(self, more: int) -> None:
        with self._changed:
            self._waiting += more
            self.is_wanted = self._waiting > 0
            self._changed.notify_all()
