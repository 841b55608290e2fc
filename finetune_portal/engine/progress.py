"""How far each training is: a line of JSON an event, in a folder of the job beside what its trainer keeps.

Events: started, step, held_out, sample, checkpoint, died, done, failed (docs/engine.md).
"""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from django.conf import settings

from finetune_portal.engine.storage import keys

FILE = "progress.jsonl"
POINTS = 500  # of the loss curve, at most


def folder(job_id: uuid.UUID) -> Path:
    return Path(settings.STORAGE_DIR) / keys.training_folder(job_id)


def add(work: Path, event: dict[str, Any]) -> None:
    if not event:
        return
    work.mkdir(parents=True, exist_ok=True)
    with (work / FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(event) + "\n")


def read(work: Path) -> dict[str, Any]:
    """All events as one: the newest of each kind, and the curves. A step that was done twice counts once."""
    losses: dict[int, float] = {}
    held_out: dict[int, float] = {}
    samples: dict[int, str] = {}
    newest: dict[str, dict[str, Any]] = {}
    for event in _events(work):
        kind, step = str(event.get("event", "step")), int(event.get("step", 0))
        newest[kind] = event
        if kind == "step" and "loss" in event:
            losses[step] = event["loss"]
        elif kind == "held_out":
            held_out[step] = event["loss"]
        elif kind == "sample":
            samples[step] = str(event["file"])
    return {
        "started": newest.get("started"),
        "now": newest.get("step"),
        "losses": thinned(sorted(losses.items())),
        "held_out": sorted(held_out.items()),
        "samples": sorted(samples.items()),
    }


def thinned(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """At most POINTS of them: each the mean of its neighbours."""
    size = -(-len(points) // POINTS) or 1
    groups = [points[at : at + size] for at in range(0, len(points), size)]
    return [(group[-1][0], round(sum(loss for _, loss in group) / len(group), 6)) for group in groups]


def _events(work: Path) -> list[dict[str, Any]]:
    found = []
    with suppress(OSError):
        for line in (work / FILE).read_text(encoding="utf-8").splitlines():
            with suppress(ValueError):  # a line that a killed engine did not finish
                found.append(json.loads(line))
    return found
