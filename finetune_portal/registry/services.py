"""Download a model file: the portal's own copy, or else the provider's."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urljoin

from django.conf import settings
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.services import FILE_GONE, GONE, MODEL_DELETED, mark_file_gone
from finetune_portal.jobs.sync import weights
from finetune_portal.jobs.sync.model_stream import ModelStream
from finetune_portal.providers.errors import CallError, StorageError
from finetune_portal.providers.http.files import Files
from finetune_portal.registry import copy_requests, model_links
from finetune_portal.registry.models import ModelFile
from finetune_portal.registry.stored_file import StoredFile
from finetune_portal.web import browser_links
from finetune_portal.web.downloads import RemoteFile
from finetune_portal.web.errors import ActionError, ProviderError

INNER_LINK = "The provider named an address inside a private network, which is not passed on. Tell an admin."
NOT_THERE = "The model file is not there yet. Download it once the training is done."
NO_LONGER_KEPT = (
    "The portal no longer has a copy of this file. Open the job in the portal and download the model again."
)


def stored_file(job: Job) -> StoredFile | None:
    """Open the portal's own copy; one that is missing on the disk is noted and copied again."""
    if job.file_kept_at is None:
        return None
    files = ModelFile.objects.filter(model__job=job, kind=ModelFile.Kind.WEIGHTS, step=None)
    file = files.filter(state=ModelFile.State.STORED).select_related("model__job").first()
    if file is None:
        return None
    try:
        return StoredFile(file)
    except FileNotFoundError:
        copy_requests.note_missing(file)
        return None


def download_link(job: Job, *, actor: User) -> str:
    """Get a fresh link to the `.safetensors`, valid for one hour and never stored.

    For the portal's own copy and for an engine, which a browser may not reach, it is a path of the portal, to
    be joined with its address; otherwise a URL of the provider's storage (docs/provider-api.md, 6).
    """
    if job.model_deleted_at:
        raise ActionError(MODEL_DELETED)
    if not job.can_download:
        raise ActionError(NOT_THERE)
    if stored_file(job):
        ModelFile.objects.filter(model__job=job, kind=ModelFile.Kind.WEIGHTS).update(used_at=now())
        record(actor, "job.download", job, name=job.name)
        return model_links.link_for(job, actor)
    link = _provider_link(job)
    record(actor, "job.download", job, name=job.name)
    return model_links.link_for(job, actor) if job.connection.is_engine else link


def download_links(jobs: Iterable[Job], *, actor: User) -> str:
    """Return a text file with the name and a fresh link of each job, separated by a tab."""
    lines = []
    for job in jobs:
        name = " ".join(job.name.split())  # without a tab or line break
        try:
            link = download_link(job, actor=actor)
            lines.append(f"{name}\t{urljoin(settings.PORTAL_URL, link)}")
        except ActionError as exc:
            lines.append(f"{name}\t# {exc}")
    return "\n".join(lines) + "\n"


def open_file(job: Job) -> RemoteFile:
    """Open the file behind a signed link: the own copy, or that of an engine. Raises ActionError."""
    if job.model_deleted_at:
        raise ActionError(MODEL_DELETED)
    if file := stored_file(job):
        return file
    if not job.connection.is_engine:
        raise ActionError(NO_LONGER_KEPT)
    try:
        return ModelStream(job)
    except CallError as exc:
        raise ProviderError(f"No download. {exc.message}", exc.detail) from None


def _provider_link(job: Job) -> str:
    try:
        link, files = weights.link_to(job, somebody_waits=True)
    except CallError as exc:
        if exc.status in GONE:
            mark_file_gone(job)
        raise ProviderError(f"No download link. {exc.message}", exc.detail) from None
    if not (job.connection.is_engine or browser_links.is_safe(link, own_url=job.connection.address)):
        raise ProviderError(f"No download link. {INNER_LINK}")
    _check_file(job, files, link)
    return link


def _check_file(job: Job, files: Files, link: str) -> None:
    """Check that the link leads to the file, as a browser would show the storage's XML instead.

    A browser may reach a storage that the portal does not, so only an answer counts.
    """
    try:
        files.check(link)
    except StorageError as exc:
        if exc.is_gone:
            mark_file_gone(job)
            raise ActionError(FILE_GONE, exc.detail) from None
        raise ProviderError(f"No download. {exc.message}", exc.detail) from None
    except CallError:
        return
    if job.file_gone_at:
        Job.objects.filter(pk=job.pk).update(file_gone_at=None, updated_at=now())
