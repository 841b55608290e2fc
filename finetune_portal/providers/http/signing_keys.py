"""The keys by which a provider signs its messages: kept for a day, fetched again when they may be new."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, TypeVar

from finetune_portal.providers.errors import InvalidResponseError

K = TypeVar("K")
TOLERANCE = 300.0  # seconds, of the signed time
KEEP = 24 * 3600.0  # seconds
PAUSE = 60.0  # seconds between two fetches for unknown signatures, which strangers can send
NOT_YET = "No known key explains this signature, and the keys were asked for within the last minute."


@dataclass(frozen=True)
class _Kept(Generic[K]):
    """By the monotonic clock: when the keys were fetched, and when for an unknown signature."""

    keys: tuple[K, ...]
    fetched_at: float
    retried_at: float = -PAUSE


class SigningKeys(Generic[K]):
    """Keys by the name of whose they are, in the memory of this process."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept[K]] = {}
        self._lock = threading.Lock()

    def clear(self) -> None:
        self._kept.clear()

    def any_signed(
        self,
        name: str,
        fetch: Callable[[], tuple[K, ...]],
        has_signed: Callable[[K], bool],
        received_at: datetime,
    ) -> bool:
        """Whether a key signed what came then. Keys may be new: an unknown signature has them fetched again.

        Once they were fetched after it came, the answer is final. Raises InvalidResponseError where that
        fetch has to wait, and what `fetch` raises.
        """
        now = time.monotonic()
        came = now - max(0.0, time.time() - received_at.timestamp())
        with self._lock:
            kept = self._kept.get(name)
            if kept is None or now - kept.fetched_at > KEEP:
                kept = self._kept[name] = _Kept(fetch(), now)
            if any(map(has_signed, kept.keys)):
                return True
            if kept.fetched_at >= came:
                return False
            if now - kept.retried_at < PAUSE:
                raise InvalidResponseError(NOT_YET)
            self._kept[name] = replace(kept, retried_at=now)
            kept = self._kept[name] = _Kept(fetch(), now, now)
        return any(map(has_signed, kept.keys))
