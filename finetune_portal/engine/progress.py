"""The progress of each training: one line of JSON for each event, in the job's folder.

Events: phase, started, step, held_out, sample, checkpoint, no_room, died, done, failed. Lines can be missing,
because an engine that stops does not read its child's pipe to the end, and a full disk takes none. A
checkpoint holds all points of the curves up to its step, and the next `started` brings them.
"""

from __future__ import annotations

import json
import os
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from django.conf import settings

from finetune_portal.engine.room import FULL
from finetune_portal.engine.storage import keys
from finetune_portal.engine.trainers.children import Event, refuse_constant

FILE = "progress.jsonl"
LOG = "log.txt"
ENDS_A_PHASE = ("phase", "step", "died", "done", "failed")
POINTS = 500  # of the loss curve, at most


class Progress(NamedTuple):
    """All events of a training as one: the newest `started` and `step`, and the curves by step."""

    started: Event
    latest: Event
    losses: list[tuple[int, float]]
    held_out: list[tuple[int, float]]
    held_out_weighted: list[tuple[int, float]]  # by the schedule of a sample
    samples: list[tuple[int, str]]
    phase: str  # what is done at present beside the steps; empty while it steps, and after the end


def folder(job_id: uuid.UUID) -> Path:
    return Path(settings.STORAGE_DIR) / keys.training_folder(job_id)


def add(work: Path, event: Event) -> None:
    """Append an event. An empty one is a sign of life and gets no line."""
    if not event:
        return
    try:
        work.mkdir(parents=True, exist_ok=True)
        with (work / FILE).open("a+b") as file:
            if file.tell() and not _ends_with_newline(file):  # a killed engine did not finish its last line
                file.write(b"\n")
            file.write(json.dumps(event).encode() + b"\n")
    except OSError as error:
        if error.errno not in FULL:
            raise


def sync(work: Path) -> None:
    """Put the events on the disk. Call before a row says that the training is over."""
    with suppress(FileNotFoundError), (work / FILE).open("rb") as file:
        os.fsync(file.fileno())


def read(work: Path) -> Progress:
    """Read the events into curves that have each step once, in order."""
    losses: dict[int, float] = {}
    held_out: dict[int, float] = {}
    held_out_weighted: dict[int, float] = {}
    samples: dict[int, str] = {}
    started: Event = {}
    latest: Event = {}
    phase = ""
    for event in _events(work):
        kind, step = event.get("event", "step"), int(event.get("step", 0))
        phase = str(event.get("phase", "")) if kind in ENDS_A_PHASE else phase
        if kind == "started":
            started, latest = event, {"step": step} if step else {}
            curve = event.get("curve", {})  # a checkpoint of an earlier version has none
            _resume(losses, step, curve.get("loss", []))
            _resume(held_out, step, curve.get("held_out", []))
            _resume(held_out_weighted, step, curve.get("held_out_weighted", []))
            _resume(samples, step, curve.get("samples", []))
        elif kind == "step":
            latest = event
            if "loss" in event:
                losses[step] = event["loss"]
        elif kind == "held_out":
            held_out[step] = event["loss"]
            if "weighted_loss" in event:  # a child of an earlier version does not report it
                held_out_weighted[step] = event["weighted_loss"]
        elif kind == "sample":
            samples[step] = str(event["file"])
    return Progress(
        started,
        latest,
        thinned(sorted(losses.items())),
        sorted(held_out.items()),
        sorted(held_out_weighted.items()),
        sorted(samples.items()),
        phase,
    )


def _resume(points: dict[int, Any], step: int, kept: list[tuple[int, Any]]) -> None:
    """Go back to a checkpoint: drop the points after its step, which are trained again, and add its own."""
    for later in [each for each in points if each > step]:
        del points[later]
    points.update(kept)


def thinned(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """At most POINTS points: each the mean of its neighbours, at the last of their steps."""
    size = -(-len(points) // POINTS) or 1
    groups = [points[at : at + size] for at in range(0, len(points), size)]
    return [(group[-1][0], round(sum(loss for _, loss in group) / len(group), 6)) for group in groups]


def _ends_with_newline(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _events(work: Path) -> list[Event]:
    events = []
    with suppress(OSError):
        for line in (work / FILE).read_text(encoding="utf-8", errors="replace").splitlines():
            # A killed engine did not finish a line; one of an earlier version wrote NaN, which is no JSON.
            with suppress(ValueError):
                events.append(json.loads(line, parse_constant=refuse_constant))
    return [event for event in events if isinstance(event, dict)]
