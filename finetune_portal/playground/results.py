"""Result pictures: save what a provider sent, and make the previews that pages show."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from finetune_portal.datasets import checker, previews
from finetune_portal.playground.models import Generation, Input, folder
from finetune_portal.storage.files import write_atomically

EDGES = {"small": 320, "large": 1280}
KINDS = ("png", "jpeg", "webp")  # what every browser shows


class UnreadableResultError(Exception):
    """The provider sent something that is not a picture."""


def save(generation: Generation, content: bytes) -> str:
    """Write the picture to disk and return its format: png, jpeg or webp. Raises UnreadableResultError.

    The picture is decoded in the checker's limited child.
    """
    kind = checker.picture_format(content).lower()
    if kind not in KINDS:
        raise UnreadableResultError
    generation.kind = kind
    with write_atomically(generation.path) as file:
        file.write(content)
    return kind


def delete(generation: Generation) -> None:
    for path in (generation.path, *(_preview_path(generation, edge) for edge in EDGES)):
        with suppress(OSError):
            path.unlink()


def preview(source: Generation | Input, edge: str) -> Path | None:
    """A WebP of the picture, at most EDGES[edge] pixels wide and high; None if it cannot be made."""
    path = _preview_path(source, edge)
    if not path.exists():
        previews.make_previews([(str(source.path), "", path)], EDGES[edge])
    return path if path.exists() else None


def _preview_path(source: Generation | Input, edge: str) -> Path:
    return folder() / "previews" / f"{source.path.stem}-{edge}.webp"
