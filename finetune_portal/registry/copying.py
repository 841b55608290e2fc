"""Copy the model files of finished jobs home, in the worker: streamed, resumed, hashed while they arrive.

The provider's file is read once. What has arrived is on the disk before the row says so, and a worker that is
killed at any moment is followed by one that goes on there: in the partial file, or where the whole file has
its name and only the row does not say it yet.
"""

from __future__ import annotations

from datetime import timedelta
from time import monotonic
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.utils.timezone import now

from finetune_portal.connections import rate_limit
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.services import GONE, mark_file_gone
from finetune_portal.jobs.sync import weights
from finetune_portal.jobs.timeline import Source, note
from finetune_portal.providers.errors import (
    CallError,
    RateLimitedError,
    RequestRejectedError,
    StorageError,
)
from finetune_portal.providers.http.files import FileStream
from finetune_portal.queue.leases import backoff, held_by, renewing
from finetune_portal.registry import copy_requests
from finetune_portal.registry.models import ModelFile
from finetune_portal.storage.files import delete
from finetune_portal.storage.partial import FileBusyError, PartialFile, sha256_of
from finetune_portal.web.disk_full import DiskFullError
from finetune_portal.web.sizes import size

LEASE = 15.0  # seconds, after which the file of a killed worker goes on
SHOWN_SECONDS = 1.0  # between two figures on the pages
TRIED_FOR = timedelta(days=3)
ROOM_PAUSE = timedelta(seconds=30)
BUSY_PAUSE = timedelta(seconds=5)
RANGE_REFUSED = 416
MAX_ETAG = 200  # characters


class LeaseLostError(Exception):
    """Another worker has the row now."""


def copy_next() -> bool:
    """Copy the file that has waited longest. False when none is due, or no call is left for its link."""
    copy_requests.create_rows()
    wanted = ModelFile.objects.filter(state=ModelFile.State.WANTED).select_related("model__job__connection")
    file = rate_limit.claim_with_call(
        wanted,
        Connection.objects.in_use(),
        reserve=rate_limit.DETAILS,
        seconds=LEASE,
        connection_field="model__job__connection",
    )
    if file is None:
        return False
    with renewing(file, seconds=LEASE):
        _copy(file)
    return True


def _copy(file: ModelFile) -> None:
    before = file.received
    try:
        digest, count = _fetch(file)
    except LeaseLostError:
        return
    except FileBusyError:  # a worker that does not know yet that its lease was lost
        held_by(file).update(due_at=now() + BUSY_PAUSE, lease_expires_at=None)
    except DiskFullError as exc:
        _put_off(file, str(exc), ROOM_PAUSE, waits_for_room=True)
    except CallError as exc:
        if file.received > before:  # it goes on, so there is no reason for longer pauses
            file.attempts = 0
        _failed(file, exc)
    else:
        _stored(file, digest, count)


def _fetch(file: ModelFile) -> tuple[str, int]:
    """Return SHA-256 and size of the file, which is whole and has its name then.

    Raises CallError, DiskFullError, FileBusyError, LeaseLostError.
    """
    if file.path.exists():  # the worker was killed before the row said so
        count = file.path.stat().st_size
        if file.size in (None, count):
            return sha256_of(file.path), count
        delete(file.path)
    with PartialFile(file.path, file.received) as partial:
        if not (file.size and partial.received == file.size):
            _receive(file, partial)
        return partial.finish(), partial.received


def _receive(file: ModelFile, partial: PartialFile) -> None:
    """Write what is missing of the file, and commit how much has arrived as it does."""
    link, files = weights.link_to(file.model.job, somebody_waits=False)
    with files.open(link, partial.received, file.etag) as stream:
        if stream.start != partial.received:
            partial.restart()
            _save_progress(file, partial, etag="")  # before other bytes stand there
        if stream.size is not None:
            partial.announce(stream.size)
        etag = stream.etag if len(stream.etag) <= MAX_ETAG else ""
        _save_progress(file, partial, etag=etag, size=stream.size)
        try:
            _write(file, partial, stream)
        finally:
            _save_progress(file, partial)


def _write(file: ModelFile, partial: PartialFile, stream: FileStream) -> None:
    shown_at = monotonic()
    for block in stream.blocks:
        partial.write(block)
        if monotonic() - shown_at >= SHOWN_SECONDS:
            _save_progress(file, partial)
            shown_at = monotonic()


def _save_progress(file: ModelFile, partial: PartialFile, **fields: Any) -> None:
    """Commit what has arrived, for the pages and for whoever goes on. Raises LeaseLostError."""
    partial.sync()
    fields |= {"received": partial.received, "error": "", "waits_for_room": False}
    with transaction.atomic():
        file.lock_job()
        if not _held(file).update(**fields):
            raise LeaseLostError
        _show(file)
    file.received = partial.received


def _held(file: ModelFile) -> QuerySet[ModelFile]:
    return held_by(file).filter(state=ModelFile.State.WANTED)


def _show(file: ModelFile, **fields: Any) -> None:
    """Change the row of the job, by which open pages learn of it."""
    Job.objects.filter(pk=file.model.job_id).update(updated_at=now(), **fields)


def _stored(file: ModelFile, digest: str, count: int) -> None:
    job = file.model.job
    fields = {"state": ModelFile.State.STORED, "sha256": digest, "size": count, "received": count}
    fields |= {"error": "", "failing_since": None, "waits_for_room": False, "lease_expires_at": None}
    of_job = {"file_sha256": digest, "file_size": count, "file_error": "", "file_check_requested_at": None}
    text = f"Copied the model file home: {size(count)}"
    if job.file_sha256 not in ("", digest):
        text += ". Its SHA-256 is not the one of the earlier check"
    with transaction.atomic():
        file.lock_job()
        if _held(file).update(**fields, stored_at=now(), used_at=now(), due_at=now()):
            _show(file, **of_job, file_kept_at=now())
            note(job, text, source=Source.PORTAL, detail=f"SHA-256 {digest}")


def _failed(file: ModelFile, exc: CallError) -> None:
    """Put the file off, or give it up where no later try can change it."""
    if exc.status == RANGE_REFUSED:
        held_by(file).update(received=0, etag="")
    is_gone = (isinstance(exc, StorageError) and exc.is_gone) or (
        isinstance(exc, RequestRejectedError) and exc.status in GONE
    )
    if is_gone:
        mark_file_gone(file.model.job)
    is_lasting = isinstance(exc, RequestRejectedError) or (isinstance(exc, StorageError) and exc.is_lasting)
    if is_gone or is_lasting or file.requested_at < now() - TRIED_FOR:
        _give_up(file, exc.message)
    else:
        seconds = exc.retry_after if isinstance(exc, RateLimitedError) else None
        pause = timedelta(seconds=seconds) if seconds else backoff(file.attempts)
        _put_off(file, exc.message, pause)


def _put_off(file: ModelFile, error: str, pause: timedelta, *, waits_for_room: bool = False) -> None:
    """Try again later. The timeline has the first failure of a kind in a row, the page the latest one."""
    is_new = file.failing_since is None or file.waits_for_room != waits_for_room
    fields = {"error": error[:300], "waits_for_room": waits_for_room, "lease_expires_at": None}
    fields |= {"attempts": file.attempts}
    with transaction.atomic():
        file.lock_job()
        if not _held(file).update(**fields, due_at=now() + pause, failing_since=file.failing_since or now()):
            return
        _show(file)
        if is_new:
            text = f"The model file is not copied home yet. {error} The portal tries again by itself."
            note(file.model.job, text, source=Source.PORTAL)


def _give_up(file: ModelFile, error: str) -> None:
    fields = {"state": ModelFile.State.FAILED, "error": error[:300], "lease_expires_at": None}
    text = f"The model file could not be copied home. {error}"
    with transaction.atomic():
        file.lock_job()
        if _held(file).update(**fields, waits_for_room=False):
            _show(file, file_check_requested_at=None, file_error=text[:300])
            note(file.model.job, text, source=Source.PORTAL)
