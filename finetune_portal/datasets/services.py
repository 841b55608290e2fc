"""The deeds on datasets: begin an upload, take a whole file, check, carry to the presigned URL."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from contextlib import suppress
from pathlib import PurePath

from django.db import transaction
from django.db.models import ProtectedError
from django.utils.timezone import now

from finetune_portal import upstream
from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.datasets import archive
from finetune_portal.datasets.models import Carry, Dataset
from finetune_portal.segmind import SegmindError
from finetune_portal.web.leases import backoff, mine, renew

LEASE = 60.0


def start_upload(*, owner: User, filename: str, size: int) -> Dataset:
    """Make the row and an empty file; the bytes follow in pieces."""
    filename = PurePath(filename.replace("\\", "/")).name[:255] or "dataset.zip"
    name = filename.removesuffix(".zip").removesuffix(".ZIP")[:120] or "dataset"
    dataset = Dataset(owner=owner, filename=filename, name=name, size=size)
    dataset.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    dataset.path.touch(mode=0o600)
    with transaction.atomic():
        dataset.save()
        record(owner, "dataset.upload", dataset, name=name, size=size)
    return dataset


def keep_offset(dataset: Dataset, received: int) -> None:
    """Commit what is safely on disk; with the last byte the dataset is due to be checked."""
    rows = Dataset.objects.filter(pk=dataset.pk, state=Dataset.State.RECEIVING)
    if received == dataset.size:
        rows.update(received=received, state=Dataset.State.CHECKING, due=now(), changed=now())
    else:
        rows.update(received=received, changed=now())
    dataset.received = received


def receive_whole(*, owner: User, filename: str, size: int, chunks: Iterable[bytes]) -> Dataset:
    """Take a file that came with a plain form, for browsers without scripts."""
    dataset = start_upload(owner=owner, filename=filename, size=size)
    with dataset.path.open("wb") as file:
        file.writelines(chunks)
    keep_offset(dataset, size)
    return dataset


def drop_upload(dataset: Dataset) -> None:
    """Forget an upload that its owner ended before it was whole; one that a job waits for stays."""
    with suppress(ProtectedError):
        gone, _ = Dataset.objects.filter(pk=dataset.pk, state=Dataset.State.RECEIVING).delete()
        if gone:
            dataset.path.unlink(missing_ok=True)


def check(dataset: Dataset) -> None:
    """Look into the ZIP and store the verdict. The caller holds the lease."""
    with dataset.path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    verdict = archive.inspect(dataset.path)
    state = Dataset.State.REJECTED if verdict.problems else Dataset.State.READY
    with transaction.atomic():
        moved = mine(dataset).filter(state=Dataset.State.CHECKING)
        if (
            moved.update(
                state=state,
                sha256=sha256,
                verdict=verdict.as_json(),
                changed=now(),
                lease_until=None,
            )
            and state == Dataset.State.READY
        ):
            Carry.objects.get_or_create(dataset=dataset)


def carry(trip: Carry) -> None:
    """Take the file to a fresh presigned URL; on trouble, again later. The caller holds the lease."""
    dataset = trip.dataset

    def progress(sent: int) -> None:
        renew(trip, seconds=LEASE)
        mine(trip).update(sent=sent)

    client = upstream.get_client()
    try:
        target = client.presigned_url(f"{dataset.key}.zip")
        with dataset.path.open("rb") as file:
            client.upload(target.presigned_url, file, dataset.size, on_progress=progress)
    except SegmindError as exc:
        mine(trip).update(
            error=exc.message[:500], sent=0, due=now() + backoff(trip.attempts), lease_until=None
        )
        return
    mine(trip).update(s3_url=target.s3_url, sent=dataset.size, done=now(), error="", lease_until=None)
    Dataset.objects.filter(pk=dataset.pk).update(changed=now())
