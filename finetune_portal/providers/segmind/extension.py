"""The calls under /extra: what an engine tells and does beyond the vendor's API (docs/engine.md).

The first call asks for the capabilities. A provider that does not know /extra, such as the vendor, or
answers it in another way has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from finetune_portal.providers.errors import (
    CallError,
    InvalidResponseError,
    OutOfCreditsError,
    RequestRejectedError,
    ServerError,
)
from finetune_portal.providers.http.json_body import missing, parse
from finetune_portal.providers.http.values import mapping, number, text, truth, whole
from finetune_portal.providers.segmind.transport import Transport

VERSION = 1
TIMEOUT = 10.0
MAX_POINTS, MAX_SAMPLES, MAX_CAPABILITIES = 1000, 100, 50
MAX_PICTURE = 8 * 1024 * 1024
PNG = b"\x89PNG\r\n\x1a\n"
MAX_BYTES = 2**53
MAX_PHASE = 80
MAX_LINES, MAX_LINE = 40, 300  # of the log
MAX_TRAINERS, MAX_TEXT, MAX_INPUTS = 20, 100, 10
TEXTS = ("id", "title", "licence")

T = TypeVar("T")
Point = tuple[int, float]


@dataclass(frozen=True)
class Progress:
    """The progress of a training. None is what the engine does not tell."""

    percent: float | None
    step: int | None
    ahead: int | None
    seconds_left: float | None
    memory_bytes: int | None
    losses: list[Point]
    held_out: list[Point]
    held_out_weighted: list[Point]  # the same loss, weighted by the noise levels of a sample
    held_out_is_trained: bool
    samples: list[int]
    phase: str  # what is done beside the steps, in words; may be empty
    log: list[str]  # the last lines of the trainer's log


@dataclass(frozen=True)
class Capabilities:
    """`can`: calls beyond the vendor's API. `parameters`: the names that `advance_parameters` may have.

    `trainers` are the base models that an engine offers, as trainer.py reads them.
    """

    can: frozenset[str] = frozenset()
    parameters: tuple[str, ...] = ()
    trainers: tuple[Mapping[str, Any], ...] = ()


class Extension:
    """One typed method for each call. Every method may raise a CallError."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def capabilities(self) -> Capabilities:
        """What the engine can do. Raises only if it is unreachable or the key is wrong."""
        try:
            answer = self._get("/extra")
        except (
            InvalidResponseError,
            OutOfCreditsError,
            RequestRejectedError,
            ServerError,
        ):
            return Capabilities()
        names = answer.get("can")
        if whole(answer.get("version")) != VERSION or not isinstance(names, list):
            return Capabilities()
        trainers = tuple(_trainers(answer.get("trainers")))
        return Capabilities(frozenset(_names(names)), tuple(_names(answer.get("parameters"))), trainers)

    def progress(self, request_id: str) -> Progress:
        answer = self._get("/extra/progress", request_id=request_id)
        held_out = mapping(answer.get("held_out"))
        return Progress(
            percent=_within(answer.get("percent"), 100),
            step=whole(answer.get("step")),
            ahead=whole(answer.get("ahead")),
            seconds_left=_within(answer.get("seconds_left"), 2**31),
            memory_bytes=_bytes(answer.get("memory_bytes")),
            losses=_points(answer.get("loss")),
            held_out=_points(held_out.get("loss")),
            held_out_weighted=_points(held_out.get("weighted_loss")),
            held_out_is_trained=truth(held_out.get("trained_on")),
            samples=_steps(answer.get("samples")),
            phase=" ".join(text(answer.get("phase")).split())[:MAX_PHASE],
            log=_lines(answer.get("log")),
        )

    def picture(self, request_id: str, name: str) -> bytes:
        """A PNG: `control` or `target` of the held-out pair, or the output for it after a step."""
        params = {"request_id": request_id, "step" if name.isdecimal() else "of": name}
        content = self._transport.call("GET", "/extra/sample", params=params, cap=MAX_PICTURE)
        if not content.startswith(PNG):
            raise missing("a picture")
        return content

    def cancel(self, request_id: str) -> bool:
        """Cancel the training. False if there is nothing to cancel any more."""
        try:
            self._transport.call("POST", "/extra/cancel", json={"request_id": request_id}, total=TIMEOUT)
        except CallError as exc:
            if exc.status in (404, 409):
                return False
            raise
        return True

    def delete_job(self, request_id: str) -> None:
        """Delete an ended job and its files. One that is gone is no error."""
        self._delete(request_id=request_id)

    def delete_file(self, address: str) -> None:
        """Delete a stored dataset or input image. One that is gone is no error."""
        self._delete(file=address)

    def _delete(self, **fields: str) -> None:
        try:
            self._transport.call("POST", "/extra/delete", json=fields, total=TIMEOUT)
        except CallError as exc:
            if exc.status != 404:
                raise

    def _get(self, path: str, **params: str) -> Mapping[str, Any]:
        answer = parse(self._transport.call("GET", path, params=params, total=TIMEOUT))
        if not isinstance(answer, dict):
            raise missing("an object")
        return answer


def _names(value: Any) -> list[str]:
    names = (text(each)[:40] for each in (value[:MAX_CAPABILITIES] if isinstance(value, list) else ()))
    return list(dict.fromkeys(name for name in names if name))


def _trainers(value: Any) -> Iterator[dict[str, Any]]:
    """The base models with an id, in plain types; a default that is no number, flag or word is left out."""
    for each in value[:MAX_TRAINERS] if isinstance(value, list) else ():
        row = mapping(each)
        id, title, licence = (" ".join(text(row.get(key)).split())[:MAX_TEXT] for key in TEXTS)
        defaults = mapping(row.get("parameters"))
        if id:
            yield {
                "id": id,
                "title": title or id,
                "licence": licence,
                "most_inputs": min(max(whole(row.get("most_inputs")) or 1, 1), MAX_INPUTS),
                "parameters": {
                    name: defaults[name]
                    if isinstance(defaults[name], int | float) or len(text(defaults[name])) <= MAX_TEXT
                    else None
                    for name in _names(list(defaults))
                },
            }


def _within(value: Any, maximum: float) -> float | None:
    parsed = number(value)
    return parsed if parsed is not None and 0 <= parsed <= maximum else None


def _bytes(value: Any) -> int | None:
    parsed = _within(value, MAX_BYTES)
    return None if parsed is None else int(parsed)


def _points(value: Any) -> list[Point]:
    """Pairs of a step and a number, ordered by step; everything else is left out."""
    points: dict[int, float] = {}
    for pair in value if isinstance(value, list) else ():
        if isinstance(pair, list) and len(pair) == 2:
            step, loss = whole(pair[0]), number(pair[1])
            if step is not None and loss is not None:
                points[step] = loss
    return _thinned(sorted(points.items()), MAX_POINTS)


def _steps(value: Any) -> list[int]:
    steps = (whole(each) for each in (value if isinstance(value, list) else ()))
    return _thinned(sorted({step for step in steps if step is not None}), MAX_SAMPLES)


def _lines(value: Any) -> list[str]:
    lines = (text(each)[:MAX_LINE] for each in (value[-MAX_LINES:] if isinstance(value, list) else ()))
    return [line for line in lines if line]


def _thinned(values: list[T], maximum: int) -> list[T]:
    """At most `maximum` of them, evenly spaced, with the last."""
    stride = -(-len(values) // maximum) or 1
    return values[::-stride][::-1]
