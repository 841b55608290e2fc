"""Have model files copied home: one, or all that older accounts have. The worker copies (copying.py)."""

from __future__ import annotations

from django.db import transaction
from django.db.models import QuerySet
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.jobs.choices import DOWNLOADABLE, State
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.services import MODEL_DELETED
from finetune_portal.jobs.timeline import Source, note
from finetune_portal.registry.models import Model, ModelFile
from finetune_portal.storage.files import delete
from finetune_portal.web.errors import ActionError

ROWS_AT_ONCE = 100
NOT_THERE = "The model file is not there yet. Copy it once the job is ready."
MISSING = "The portal’s copy of the model file is missing on its disk. It is copied again."


def copyable() -> QuerySet[Job]:
    """The finished jobs whose model file has no copy here, is not on its way, and is not known to be gone.

    A model that a person deleted stays deleted.
    """
    jobs = Job.objects.filter(state=State.READY, file_check_requested_at=None, file_kept_at=None)
    return jobs.filter(file_gone_at=None, model_deleted_at=None).exclude(cloud_storage_url="")


def request_copy(job: Job, *, actor: User) -> None:
    """Have the file of a job copied, or try at once what waits for its next try."""
    if job.model_deleted_at:
        raise ActionError(MODEL_DELETED)
    if job.state != State.READY or not job.can_download:
        raise ActionError(NOT_THERE)
    with transaction.atomic():
        rows = Job.objects.filter(pk=job.pk, file_kept_at=None, model_deleted_at=None)
        fields = {"file_check_requested_at": now(), "file_error": "", "updated_at": now()}
        if rows.filter(file_check_requested_at=None).update(**fields) or _hurry(job):
            record(actor, "job.copy-file", job, name=job.name)


def _hurry(job: Job) -> int:
    return ModelFile.objects.filter(model__job=job, state=ModelFile.State.WANTED).update(due_at=now())


def request_all(*, actor: User) -> int:
    """Have the files of all finished jobs copied, and return how many these are."""
    with transaction.atomic():
        count = copyable().update(file_check_requested_at=now(), file_error="", updated_at=now())
        if count:
            record(actor, "job.copy-all-files", actor, count=count)
    return count


def create_rows() -> None:
    """Make the row of each requested file, or bring back the one of an earlier copy."""
    requested = Job.objects.filter(file_check_requested_at__isnull=False, state__in=DOWNLOADABLE)
    requested = (
        requested.filter(model_deleted_at=None)
        .exclude(cloud_storage_url="")
        .exclude(model__files__state=ModelFile.State.WANTED)
    )
    for job in requested.order_by("due_at")[:ROWS_AT_ONCE]:
        with transaction.atomic():
            locked = requested.select_for_update(of=("self",), no_key=True)
            if not locked.filter(pk=job.pk).values_list("pk"):
                continue  # it, or its model, was deleted meanwhile
            model, _ = Model.objects.get_or_create(job=job)
            file, is_new = ModelFile.objects.get_or_create(
                model=model, kind=ModelFile.Kind.WEIGHTS, step=None
            )
            if not is_new:
                want_again(file)


def want_again(file: ModelFile) -> None:
    """Copy a file that was given up, removed or lost; what has arrived of it before is kept."""
    ModelFile.objects.filter(pk=file.pk).exclude(state=ModelFile.State.WANTED).update(
        state=ModelFile.State.WANTED,
        requested_at=now(),
        due_at=now(),
        attempts=0,
        lease_expires_at=None,
        failing_since=None,
        waits_for_room=False,
        error="",
    )


def note_missing(file: ModelFile) -> None:
    """Note once that a stored file is not on the disk as it was, and have it copied again."""
    delete(file.path)
    with transaction.atomic():
        file.lock_job()
        stored = ModelFile.objects.filter(pk=file.pk, state=ModelFile.State.STORED)
        if stored.update(state=ModelFile.State.REMOVED, received=0):
            fields = {"file_kept_at": None, "file_check_requested_at": now(), "updated_at": now()}
            Job.objects.filter(pk=file.model.job_id).update(**fields)
            note(file.model.job, MISSING, source=Source.PORTAL)


def note_all_missing() -> int:
    """Do that for all files that are not on the disk, after a restore. Return how many these are."""
    stored = ModelFile.objects.filter(state=ModelFile.State.STORED).select_related("model__job")
    missing = [file for file in stored.iterator(chunk_size=500) if not file.path.exists()]
    for file in missing:
        note_missing(file)
    return len(missing)
