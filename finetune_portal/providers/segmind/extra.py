"""What an engine can tell and do beyond the vendor's API: the extension under /extra (docs/engine.md).

Who asks first asks for the abilities. An upstream that knows nothing of /extra, or answers oddly there, has
none; the vendor is such a one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from finetune_portal.providers.segmind.errors import (
    InvalidResponseError,
    OutOfCreditsError,
    RequestRejectedError,
    SegmindError,
    ServerError,
    TrainingClosedError,
)
from finetune_portal.providers.segmind.reading import odd_shape, parse
from finetune_portal.providers.segmind.transport import Transport
from finetune_portal.providers.segmind.types import mapping, number, text, truth, whole

VERSION = 1
SECONDS = 10.0
MOST_POINTS, MOST_SAMPLES, MOST_ABILITIES = 1000, 100, 50
MAX_PICTURE = 8 * 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n"
MAX_BYTES = 2**53

T = TypeVar("T")
Point = tuple[int, float]


@dataclass(frozen=True)
class Progress:
    """How far a training is. None is what the engine does not say."""

    percent: float | None
    step: int | None
    ahead: int | None
    seconds_left: float | None
    memory_bytes: int | None
    losses: list[Point]
    held_out: list[Point]
    held_out_is_trained: bool
    samples: list[int]


class Extra:
    """One typed method for each call. Every method may raise a SegmindError."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def abilities(self) -> frozenset[str]:
        """The names of what it can. Raises only where it was not reached, or not let in."""
        try:
            told = self._ask("/extra")
        except (
            InvalidResponseError,
            TrainingClosedError,
            OutOfCreditsError,
            RequestRejectedError,
            ServerError,
        ):
            return frozenset()
        names = told.get("can")
        if whole(told.get("version")) != VERSION or not isinstance(names, list):
            return frozenset()
        return frozenset(name for each in names[:MOST_ABILITIES] if (name := text(each)[:40]))

    def progress(self, request_id: str) -> Progress:
        told = self._ask("/extra/progress", request_id=request_id)
        held_out = mapping(told.get("held_out"))
        return Progress(
            percent=_within(told.get("percent"), 100),
            step=whole(told.get("step")),
            ahead=whole(told.get("ahead")),
            seconds_left=_within(told.get("seconds_left"), 2**31),
            memory_bytes=_bytes(told.get("memory_bytes")),
            losses=_points(told.get("loss")),
            held_out=_points(held_out.get("loss")),
            held_out_is_trained=truth(held_out.get("trained_on")),
            samples=_steps(told.get("samples")),
        )

    def picture(self, request_id: str, name: str) -> bytes:
        """A PNG: `control` or `target` of the held-out pair, or what the model made of it after that step."""
        params = {"request_id": request_id, "step" if name.isdecimal() else "of": name}
        content = self._transport.call("GET", "/extra/sample", params=params, cap=MAX_PICTURE)
        if not content.startswith(PNG):
            raise odd_shape("a picture")
        return content

    def cancel(self, request_id: str) -> bool:
        """End the training. False where there is nothing to end any more."""
        try:
            self._transport.call("POST", "/extra/cancel", json={"request_id": request_id}, total=SECONDS)
        except SegmindError as exc:
            if exc.status in (404, 409):
                return False
            raise
        return True

    def _ask(self, path: str, **params: str) -> Mapping[str, Any]:
        told = parse(self._transport.call("GET", path, params=params, total=SECONDS))
        if not isinstance(told, dict):
            raise odd_shape("an object")
        return told


def _within(value: Any, most: float) -> float | None:
    found = number(value)
    return found if found is not None and 0 <= found <= most else None


def _bytes(value: Any) -> int | None:
    found = _within(value, MAX_BYTES)
    return None if found is None else int(found)


def _points(value: Any) -> list[Point]:
    """Pairs of a step and a number, by step; what is no such pair is left out."""
    found: dict[int, float] = {}
    for pair in value if isinstance(value, list) else ():
        if isinstance(pair, list) and len(pair) == 2:
            step, height = whole(pair[0]), number(pair[1])
            if step is not None and height is not None:
                found[step] = height
    return _thinned(sorted(found.items()), MOST_POINTS)


def _steps(value: Any) -> list[int]:
    found = (whole(each) for each in (value if isinstance(value, list) else ()))
    return _thinned(sorted({step for step in found if step is not None}), MOST_SAMPLES)


def _thinned(found: list[T], most: int) -> list[T]:
    """At most so many of them, evenly, with the last."""
    stride = -(-len(found) // most) or 1
    return found[::-stride][::-1]
