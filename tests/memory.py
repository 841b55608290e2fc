"""How far the memory of this process grows while a test does a thing many times."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

MIB = 1024 * 1024
STATM = Path("/proc/self/statm")


def resident() -> int:
    """Bytes of this process that are in memory now; 0 where the system does not tell it this way."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if STATM.exists() else 0


@dataclass
class Watch:
    """Begins at the first look, when all that is loaded once is there."""

    looks: int = 0
    first: int = 0
    most: int = 0
    kinds: dict[str, int] = field(default_factory=dict)

    def look(self, kind: str) -> None:
        now = resident()
        self.first = self.first or now
        self.most = max(self.most, now)
        self.looks += 1
        self.kinds[kind] = self.kinds.get(kind, 0) + 1

    @property
    def grown(self) -> float:
        """MiB from the first look to the highest one."""
        return (self.most - self.first) / MIB

    def summary(self, what: str) -> str:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(self.kinds.items()))
        return f"{self.looks} {what} ({kinds}), memory grew by {self.grown:.1f} MiB"
