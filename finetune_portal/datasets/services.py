"""The actions on datasets: begin an upload, take a whole file, check, carry to the presigned URL."""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.db import transaction
from django.db.models import ProtectedError
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.connections import services as connections
from finetune_portal.datasets import checker, previews, remote
from finetune_portal.datasets.models import Dataset, Transfer
from finetune_portal.datasets.transfer import schedule_transfer
from finetune_portal.queue.leases import held_by
from finetune_portal.web import outbound

BLOCK = 1024 * 1024
EARLY = 16 * BLOCK  # a file above this is handed over while it still comes in
LOOK_SECONDS = 60.0  # at a ZIP far away
JOINERS = "\u200c\u200d"


def start_upload(
    *, owner: User, filename: str, size: int, key: uuid.UUID | None = None, metadata: str = ""
) -> Dataset:
    """Make the row and an empty file; the bytes follow in pieces."""
    filename = plain_name(PurePath(filename.replace("\\", "/")).name)[:255] or "dataset.zip"
    name = filename.removesuffix(".zip").removesuffix(".ZIP")[:120] or "dataset"
    named = {"filename": filename, "name": name, "metadata": metadata}
    dataset = Dataset(key=key or uuid.uuid4(), owner=owner, size=size, **named)
    dataset.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    dataset.path.touch(mode=0o600)
    with transaction.atomic():
        dataset.save()
        record(owner, "dataset.upload", dataset, name=name, size=size)
    return dataset


def plain_name(text: str) -> str:
    """One line without what is invisible or turns the writing around; joiners are part of some scripts."""
    kept = (char for char in unicodedata.normalize("NFC", text) if char.isprintable() or char in JOINERS)
    return " ".join("".join(kept).split())


def keep_offset(dataset: Dataset, received: int) -> None:
    """Commit what is safely on disk; with the last byte the dataset is due to be checked."""
    rows = Dataset.objects.filter(pk=dataset.pk, state=Dataset.State.RECEIVING)
    if received == dataset.size:
        rows.update(received=received, state=Dataset.State.CHECKING, due_at=now(), updated_at=now())
    else:
        rows.update(received=received, updated_at=now())
        if received >= EARLY and not Transfer.objects.filter(dataset=dataset).exists():
            schedule_transfer(dataset, connections.default())
    dataset.received, dataset.updated_at = received, now()


def begin_anew(dataset: Dataset, size: int) -> bool:
    """Forget the bytes of an upload that broke off; False if it is whole or gone.

    Who still hands the old bytes over does so in vain: that trip's row is gone.
    """
    with transaction.atomic():
        rows = Dataset.objects.filter(pk=dataset.pk, state=Dataset.State.RECEIVING)
        if not rows.update(received=0, size=size, updated_at=now()):
            return False
        Transfer.objects.filter(dataset=dataset).delete()
    dataset.received, dataset.size = 0, size
    return True


def receive_whole(*, owner: User, filename: str, size: int, chunks: Iterable[bytes]) -> Dataset:
    """Take a file that came with a plain form, for browsers without scripts."""
    dataset = start_upload(owner=owner, filename=filename, size=size)
    with dataset.path.open("wb") as file:
        file.writelines(chunks)
    keep_offset(dataset, size)
    return dataset


def drop_upload(dataset: Dataset, *, actor: User | None, **still: Any) -> bool:
    """Forget an upload that is not whole and for which no job waits. False if it stays."""
    rows = Dataset.objects.filter(pk=dataset.pk, state=Dataset.State.RECEIVING, **still)
    try:
        with transaction.atomic():
            gone, _ = rows.delete()
            if gone:
                record(actor, "dataset.drop", dataset, name=dataset.name)
    except ProtectedError:
        return False
    if gone:
        dataset.path.unlink(missing_ok=True)
    return bool(gone)


def check(dataset: Dataset) -> None:
    """Look into the ZIP and store the verdict. The caller holds the lease."""
    found = _look_from_afar(dataset) if dataset.source_url else _look_here(dataset)
    state = Dataset.State.REJECTED if found["verdict"]["problems"] else Dataset.State.READY
    with transaction.atomic():
        rows = held_by(dataset).filter(state=Dataset.State.CHECKING)
        pairs = len(found["verdict"]["pairs"])
        if not rows.update(state=state, updated_at=now(), lease_expires_at=None, pair_count=pairs, **found):
            return
        if state == Dataset.State.READY and not dataset.source_url:
            schedule_transfer(dataset, connections.default())


def _look_here(dataset: Dataset) -> dict[str, Any]:
    return {"verdict": checker.check_zip(dataset.path)}


def _look_from_afar(dataset: Dataset) -> dict[str, Any]:
    try:
        with (
            outbound.within(LOOK_SECONDS),
            remote.open_remote(dataset.source_url, max_bytes=settings.DATASET_MAX_BYTES) as file,
        ):
            verdict = checker.inspect_remote(cast(BinaryIO, file)).as_json()
            if not verdict["problems"]:
                previews.make_first(dataset, cast(BinaryIO, file), verdict["pairs"])
            return {"verdict": verdict, "size": file.size, "received": file.size}
    except remote.RemoteFileError as exc:
        return {"verdict": {"problems": [str(exc)], "warnings": [], "pairs": []}}
