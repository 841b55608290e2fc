"""The pictures that came back, and the small ones that pages show."""

from __future__ import annotations

import io
import os
from contextlib import suppress
from pathlib import Path

from finetune_portal.datasets import previews
from finetune_portal.datasets.checker import images
from finetune_portal.playground.models import Input, Trial, folder

EDGES = {"small": 320, "large": 1280}


class Unreadable(Exception):
    """What came is no picture."""


def keep(trial: Trial, content: bytes) -> str:
    """Write it to disk; the kind of picture that it is."""
    try:
        kind = images.look(io.BytesIO(content), decode=True).kind.lower()
    except images.Unusable:
        raise Unreadable from None
    trial.kind = kind
    trial.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = trial.path.with_name(f".{trial.path.name}.part")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(trial.path)
    return kind


def forget(trial: Trial) -> None:
    for path in (trial.path, *(_place(trial, edge) for edge in EDGES)):
        with suppress(OSError):
            path.unlink()


def preview(shown: Trial | Input, edge: str) -> Path | None:
    """A WebP of it, at most EDGES[edge] pixels wide and high; None if it cannot be."""
    kept = _place(shown, edge)
    if not kept.exists():
        with suppress(*previews.UNREADABLE), shown.path.open("rb") as file:
            previews.shrink(file, kept, EDGES[edge])
    return kept if kept.exists() else None


def _place(shown: Trial | Input, edge: str) -> Path:
    return folder() / "previews" / f"{shown.path.stem}-{edge}.webp"
