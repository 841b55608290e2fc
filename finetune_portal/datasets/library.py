"""Change the library: rename, move or delete a dataset, add one by its public address."""

from __future__ import annotations

from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from django.db import transaction
from django.db.models import Q
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.datasets.models import Dataset, Transfer
from finetune_portal.projects import access as projects
from finetune_portal.projects.models import Project
from finetune_portal.projects.services import touch
from finetune_portal.storage import files
from finetune_portal.web.errors import ActionError
from finetune_portal.web.names import clean_name

GONE = "The dataset was deleted meanwhile, so nothing was changed."
USED_OUTSIDE = "Jobs outside of “{project}” were started with this dataset. Move them there first."


def rename(dataset: Dataset, name: str, *, actor: User) -> None:
    """Raises ActionError where it was deleted meanwhile."""
    with transaction.atomic():
        if not Dataset.objects.filter(pk=dataset.pk).update(name=name, updated_at=now()):
            raise ActionError(GONE)
        record(actor, "dataset.rename", dataset, before=dataset.name, after=name)
    dataset.name = name


def move(dataset: Dataset, project: Project | None, *, actor: User) -> None:
    """Move a dataset with all its versions. Raises ActionError where jobs outside would still show it."""
    root = dataset.parent_id or dataset.pk
    with transaction.atomic():
        family = Dataset.objects.select_for_update().filter(Q(pk=root) | Q(parent=root))
        versions = list(family.order_by("pk"))
        if not versions:
            raise ActionError(GONE)
        before = versions[0].project
        if before == project:
            return
        touch(before, project)  # locks them: whether it is private stays as it is until the end
        project = Project.objects.get(pk=project.pk) if project else None
        outside = [each.jobs.exclude(project=project) if project else each.jobs.none() for each in versions]
        if project and project.is_private and any(jobs.exists() for jobs in outside):
            raise ActionError(USED_OUTSIDE.format(project=project))
        family.update(project=project, updated_at=now())
        names = {"before": projects.name_of(before), "after": projects.name_of(project)}
        record(actor, "dataset.project", dataset, name=dataset.label, **names)


def delete(dataset: Dataset, *, actor: User) -> None:
    """Remove a dataset from the library and its file from the disk. The row stays, for its finished jobs."""
    job = next((job for job in dataset.jobs.select_related("project") if job.needs_dataset), None)
    if job is not None:
        name = f"“{job.name}”" if projects.may_see(actor, job.project) else "A job"
        raise ActionError(f"{name} still needs this dataset. Withdraw it or wait, then delete.")
    at = now()
    with transaction.atomic():
        rows = Dataset.objects.filter(pk=dataset.pk)
        if not rows.update(deleted_at=at, file_removed_at=at, updated_at=at):
            raise ActionError(GONE)
        Transfer.objects.filter(dataset=dataset, finished_at=None).delete()
        record(actor, "dataset.delete", dataset, name=dataset.label)
    files.delete(dataset.path, dataset.seen_path, dataset.previews)


def add_url(url: str, *, owner: User) -> Dataset:
    """Add a dataset that lies at a public address; the worker checks it by ranged requests."""
    name = clean_name(PurePosixPath(unquote(urlsplit(url).path)).name) or "dataset.zip"
    with transaction.atomic():
        dataset = Dataset.objects.create(
            owner=owner,
            name=name.removesuffix(".zip")[:120] or "dataset",
            filename=name[:255],
            state=Dataset.State.CHECKING,
            size=0,
            source_url=url,
        )
        record(owner, "dataset.url", dataset, host=urlsplit(url).hostname or "")
    return dataset
