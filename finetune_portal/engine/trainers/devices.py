"""The GPUs of this machine, as the driver reports them, and who has which."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from finetune_portal import env

CPU = ""


def find() -> list[str]:
    """One value of CUDA_VISIBLE_DEVICES for each training at a time: its GPUs, or the CPU."""
    gpus = _gpus()
    each = min(env.integer("ENGINE_GPUS_PER_TRAINING", 1, least=1), len(gpus))
    return [",".join(gpus[at : at + each]) for at in range(0, len(gpus) - each + 1, each)]


def _gpus() -> list[str]:
    if (given := env.text("CUDA_VISIBLE_DEVICES")) or "CUDA_VISIBLE_DEVICES" in env.whole():
        return given.split(",") if given else [CPU]
    try:
        listing = subprocess.run(  # nosec B603 B607  # a fixed command, found by PATH
            ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return [CPU]
    return listing.stdout.split() or [CPU]


class Devices:
    """A pool of devices. Trainings go first: an image gets a device only while no training waits."""

    def __init__(self, names: list[str]) -> None:
        self.count = len(names)
        self.has_waiting_training = False
        self._free = list(names)
        self._waiting = 0
        self._changed = threading.Condition()

    def take(self, seconds: float, *, unless_training_waits: bool = False) -> str | None:
        """A free device, or None if there is none within so many seconds."""

        def is_unleased() -> bool:
            return bool(self._free) and not (unless_training_waits and self.has_waiting_training)

        with self._changed:
            return self._free.pop(0) if self._changed.wait_for(is_unleased, seconds) else None

    def give_back(self, name: str) -> None:
        with self._changed:
            self._free.append(name)
            self._changed.notify_all()

    @contextmanager
    def training_waits(self) -> Iterator[None]:
        """Around the time in which a training waits for a device."""
        self._count_waiting(+1)
        try:
            yield
        finally:
            self._count_waiting(-1)

    def _count_waiting(self, change: int) -> None:
        with self._changed:
            self._waiting += change
            self.has_waiting_training = self._waiting > 0
            self._changed.notify_all()
