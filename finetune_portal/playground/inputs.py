"""Make input pictures for generations, from an uploaded file or from the input image of a pair.

The picture is decoded in the checker's limited child: upright, in sRGB, on white where transparent.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.datasets import checker, decoding
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Job
from finetune_portal.playground import access, results
from finetune_portal.playground.models import Generation, Input
from finetune_portal.storage import files
from finetune_portal.web.busy import BusyError
from finetune_portal.web.disk_full import DiskFullError

MAX_BYTES = 12_000_000
KEPT_UNUSED = timedelta(days=1)
EDGE = 2048  # no model makes larger pictures
TOO_LARGE = "The picture is larger than 12 MB. Make it smaller."
FILE_MISSING = "The portal no longer has the file of this dataset. Choose a picture of your own."
MESSAGES = {
    "pixels": "The picture has too many pixels. Make it smaller, at most 50 megapixels.",
    "memory": "The picture needs too much memory. Make it smaller.",
    "missing": FILE_MISSING,
    "unwritten": "The picture could not be stored: the portal's disk may be full. Tell an admin.",
    "broken": "This is not a readable picture. Save it as JPEG or PNG and choose the new file.",
}


class InvalidPictureError(Exception):
    """The picture cannot be used. The text is a sentence for people."""


def from_file(data: bytes, name: str, *, actor: User, job: Job | None = None) -> Input:
    """A picture that a person uploads for runs of this job, or of any where it is None.

    Raises InvalidPictureError, and BusyError where many pictures are decoded.
    """
    try:
        with files.draft(len(data)) as source:
            files.fill(source, data)
            return _saved(str(source), "", access.inputs_beside(actor, job), name=name[:255], owner=actor)
    except DiskFullError as exc:
        raise InvalidPictureError(str(exc)) from None


def from_pair(dataset: Dataset, number: int, *, actor: User, job: Job) -> Input:
    """The input image of a pair; `number` counts the pairs from 0. Raises as `from_file`."""
    pair = dataset.pairs[number]
    name = f"Pair {pair['index']}"[:255]
    shared = access.inputs_beside(actor, job)
    made = shared.filter(dataset=dataset, number=number, name=name).first()
    if made and made.path.is_file():
        return made
    fields = {"name": name, "owner": actor, "dataset": dataset, "number": number}
    return _saved(str(dataset.path), pair["start"], shared, **fields)


def delete_unused(image: Input) -> None:
    """Delete an input picture unless a generation uses it."""
    if Generation.objects.filter(input=image).exists():
        return
    image.delete()
    if not Input.objects.filter(sha256=image.sha256).exists():
        files.delete(image.path)
        results.delete_previews(image.sha256)


def clear_unused() -> bool:
    """Delete one picture that was uploaded and is not used after a day. False if none is left."""
    old = Input.objects.filter(generations=None, created_at__lt=now() - KEPT_UNUSED)
    image = old.order_by("pk").first()
    if image is not None:
        delete_unused(image)
    return image is not None


def _saved(source: str, member: str, shared: QuerySet[Input], **fields: Any) -> Input:
    """The row of an equal picture among `shared`, or a new one with these fields."""
    with files.draft_folder() as folder:
        made = {name: folder / name for name in ("input", *results.EDGES)}
        tasks = [checker.PictureTask(source, member, str(made["input"]), EDGE, "input")]
        for name, edge in results.EDGES.items():  # of the input, which is smaller than its source
            tasks.append(checker.PictureTask(str(made["input"]), "", str(made[name]), edge))
        kind, *_ = decoding.make_pictures_in_request(tasks)
        if kind == "later":  # the machine is so busy that not even the first was made
            raise BusyError(decoding.BUSY)
        if kind in MESSAGES:
            raise InvalidPictureError(MESSAGES[kind])
        sha256 = hashlib.sha256(made["input"].read_bytes()).hexdigest()
        equal = shared.filter(sha256=sha256).first()
        image = equal or Input.objects.create(sha256=sha256, kind=kind, **fields)
        paths = {"input": image.path} | {edge: results.preview_path(image, edge) for edge in results.EDGES}
        for name, path in paths.items():
            if made[name].exists() and not path.exists():
                files.move(made[name], path)
    return image
