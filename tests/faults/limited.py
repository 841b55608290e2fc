"""The fake provider with a limit of calls, on a clock that the test can advance."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

from tests.provider import Answer, Request, ScriptedProvider, call_of, says

WINDOW = 60.0


class Limited(ScriptedProvider):
    """So many calls a minute, said in the headers that a public client reads (docs/provider-api.md, 12.3).

    `sliding`: the minute before each call counts, else whole minutes. `skew`: its clock against ours.
    `is_away`: it answers 503 to everything. `refused`: the calls over the limit.
    """

    def __init__(self, calls: int = 5, *, sliding: bool = False, skew: float = 0.0) -> None:
        super().__init__()
        self.calls, self.sliding, self.skew = calls, sliding, skew
        self.passed = 0.0
        self.ticked = time.time()  # on its own clock
        self.is_away = False
        self.arrived: list[float] = []
        self.refused: list[str] = []
        self._counted: deque[float] = deque()

    @property
    def clock(self) -> float:
        return time.time() + self.passed

    def receive(self, request: Request) -> tuple[Answer, bytes]:
        if call_of(request) in ("upload", "fetch"):
            return super().receive(request)
        with self._lock:
            moment = self.clock
            self.arrived.append(moment)
            if self.is_away:
                return says(503, b"<html>Down for work</html>"), b""
            self._forget(moment)
            if len(self._counted) >= self.calls:
                self.refused.append(call_of(request))
                return replace(says(429, {"error": "Too many requests"}), headers=self._headers(moment)), b""
            self._counted.append(moment)
            answer, right = super().receive(request)
            return replace(answer, headers={**answer.headers, **self._headers(moment)}), right

    def _forget(self, moment: float) -> None:
        since = moment - WINDOW if self.sliding else moment // WINDOW * WINDOW
        while self._counted and self._counted[0] <= since:
            self._counted.popleft()

    def _headers(self, moment: float) -> dict[str, Any]:
        first = self._counted[0] if self.sliding and self._counted else moment // WINDOW * WINDOW
        shown = datetime.fromtimestamp(moment + self.skew, UTC)
        reset = shown + timedelta(seconds=first + WINDOW - moment)
        return {
            "Date": format_datetime(shown, usegmt=True),
            "x-rate-limit-remaining": str(self.calls - len(self._counted)),
            "x-rate-limit-reset-at-utc": reset.isoformat(),
        }
