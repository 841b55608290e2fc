"""Result pictures: save what a provider sent, and the previews that pages show of results and inputs."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from finetune_portal.datasets import checker, decoding, previews
from finetune_portal.playground.models import Generation, Input, folder
from finetune_portal.storage import files

EDGES = {"tiny": 160, "small": 320, "large": 1280}
KINDS = ("png", "jpeg", "webp")  # what every browser shows


class UnreadableResultError(Exception):
    """The provider sent something that is not a picture."""


def save(generation: Generation, content: bytes, draft: Path) -> str:
    """Store the picture and return its format: png, jpeg or webp. `draft` has the room for it.

    One child decodes it to its end and makes the previews. Raises UnreadableResultError, and DiskFullError
    for a picture larger than the draft.
    """
    files.fill(draft, content)
    kind, *_ = decoding.make_pictures(
        [decoding.format_task(draft), *_preview_tasks(draft, str(generation.key))]
    )
    if kind not in KINDS:
        delete_previews(str(generation.key))
        raise UnreadableResultError
    generation.kind = kind
    files.move(draft, generation.path)
    return kind


def delete(generation: Generation) -> None:
    with suppress(OSError):
        files.delete(generation.path)
    delete_previews(str(generation.key))


def preview_path(source: Generation | Input, edge: str) -> Path:
    """Where the WebP of the picture lies, at most EDGES[edge] pixels wide and high."""
    return _preview_path(source.path.stem, edge)


def request_preview(source: Generation | Input, edge: str) -> bool:
    """Have the worker make the preview, where it was not made with the picture. False if that is gone."""
    return previews.request_all(source.path, [("", preview_path(source, edge))], EDGES[edge])


def _preview_tasks(source: Path, stem: str) -> list[checker.PictureTask]:
    paths = {edge: _preview_path(stem, edge) for edge in EDGES}
    files.make_folder(paths["small"].parent)
    return [checker.PictureTask(str(source), "", str(path), EDGES[edge]) for edge, path in paths.items()]


def delete_previews(stem: str) -> None:
    """Delete the previews of the picture that is or was stored under this name."""
    for edge in EDGES:
        with suppress(OSError):
            files.delete(_preview_path(stem, edge))


def _preview_path(stem: str, edge: str) -> Path:
    return folder() / "previews" / f"{stem}-{edge}.webp"
