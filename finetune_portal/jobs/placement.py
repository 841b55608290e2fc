"""Which project a job belongs to: what was made of a private project's datasets stays in that project."""

from __future__ import annotations

from contextlib import suppress

from django.db import transaction
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.datasets import library
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs import costs, limits
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.projects import access
from finetune_portal.projects.models import Project
from finetune_portal.projects.services import touch
from finetune_portal.web.errors import ActionError

OUTSIDE = "“{dataset}” belongs to the private project “{project}”. Start the job in that project."
DATASET_GONE = "The dataset was deleted meanwhile, so nothing was started."
JOB_GONE = "The job was deleted meanwhile, so nothing was moved."
WAITS = "The job waits for an approval of its cost in this project. Move it once that is decided."
NOT_JOINED = "You are no longer a member of this project."


def project_of(dataset: Dataset | None, wanted: Project | None) -> Project | None:
    """The project of a new job: the wanted one, or else that of a private dataset."""
    own = dataset.project if dataset else None
    return own if wanted is None and own is not None and own.is_private else wanted


def refusal(dataset: Dataset | None, project: Project | None) -> str:
    """Why a job of this project may not use the dataset, in a sentence; empty if it may."""
    own = dataset.project if dataset else None
    if own is None or not own.is_private or own == project:
        return ""
    return OUTSIDE.format(dataset=dataset, project=own)


def check(actor: User, dataset: Dataset, project: Project | None) -> None:
    """Raise ActionError where a job may not be there, after `limits.lock`."""
    rows = Dataset.objects.select_for_update(of=("self",)).select_related("project")
    current = rows.filter(pk=dataset.pk).first()
    if current is None:
        raise ActionError(DATASET_GONE)
    if project and not access.joined(actor).filter(pk=project.pk).exists():
        raise ActionError(NOT_JOINED)
    if sentence := refusal(current, project):
        raise ActionError(sentence)


def take_along(actor: User, dataset: Dataset, project: Project | None) -> None:
    """Move a person's own dataset into the private project of its first job; it stays where others use it."""
    is_own = (dataset.parent or dataset).owner_id == dataset.owner_id == actor.pk
    if project is not None and project.is_private and dataset.project_id is None and is_own:
        with suppress(ActionError):
            library.move(dataset, project, actor=actor)


def move(job: Job, project: Project | None, *, actor: User) -> None:
    """Move a job, with its model and runs, to another project. Raises ActionError where it has to stay."""
    with transaction.atomic():
        limits.lock()
        jobs = Job.objects.select_for_update(of=("self",), no_key=True).select_related("project")
        current = jobs.filter(pk=job.pk).first()
        if current is None:
            raise ActionError(JOB_GONE)
        before = current.project
        if before == project:
            return
        if current.state == State.APPROVAL:
            raise ActionError(WAITS)
        if current.dataset_id:
            rows = Dataset.objects.select_for_update(of=("self",), no_key=True)
            dataset = rows.select_related("project").get(pk=current.dataset_id)
            if sentence := refusal(dataset, project):
                raise ActionError(f"{sentence.partition('. ')[0]}, so its jobs are there, too.")
        Job.objects.filter(pk=job.pk).update(project=project, updated_at=now())
        if (
            before is not None
        ):  # it is private, or may become so: who sees the job now may not see its budgets
            costs.forget_budgets(Job.objects.filter(pk=job.pk))
        touch(before, project)
        names = {"before": access.name_of(before), "after": access.name_of(project)}
        record(actor, "job.project", job, name=current.name, **names)
    job.project = project


def outside(project: Project) -> int:
    """How many jobs outside of a project were started with its datasets."""
    return Job.objects.filter(dataset__project=project).exclude(project=project).count()
