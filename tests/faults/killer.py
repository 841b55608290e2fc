"""Ends a process at one of its writes to the database."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import Any

KILLED = -signal.SIGKILL  # the exit status


@dataclass
class Killer:
    """Ends the process with -9 before or after its nth write to the database; counts the writes."""

    at: int = 0
    after: bool = False
    seen: int = 0

    def __call__(self, execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        if not sql.startswith(("INSERT", "UPDATE", "DELETE")):
            return execute(sql, params, many, context)
        self.seen += 1
        self._die_if(not self.after)
        result = execute(sql, params, many, context)
        self._die_if(self.after)
        return result

    def _die_if(self, is_side: bool) -> None:
        if is_side and self.seen == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
