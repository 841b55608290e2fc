"""The only access to generations: who sees a job sees its runs, makers run, owners and admins delete."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.shortcuts import get_object_or_404

from finetune_portal.accounts.models import User
from finetune_portal.connections import trainers
from finetune_portal.connections.models import Connection, Kind
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.services import MODEL_DELETED
from finetune_portal.playground import choices
from finetune_portal.playground.models import Generation, Input
from finetune_portal.projects import access as projects
from finetune_portal.providers.contract import Capability
from finetune_portal.web.keys import parse_key

SIMULATED = "This model cannot be run, because the local engine only simulated its training."
NO_SLUG = "The provider gave this model no address, so it cannot be run here."
UNABLE = "The engine that trained this model cannot run models."
NO_MODEL = "“{name}” has no model that runs this LoRA, so it cannot be run here."
FILE_GONE = "The provider no longer has the file of this model, so it cannot be run."
APART = "“{name}” belongs to a private project. Run it without models of other projects."
DISABLED = "The connection of this model is deactivated, so it cannot be run here."


WAITING = (Generation.State.QUEUED, Generation.State.RUNNING)
_USES = Generation.objects.filter(input=OuterRef("pk"))


def why_not_together(jobs: list[Job]) -> str:
    """Why one picture may not be run by these models, in a sentence: it would leave a private project."""
    private = next((job for job in jobs if job.project and job.project.is_private), None)
    if private is None or len({job.project_id for job in jobs}) == 1:
        return ""
    return APART.format(name=private)


def why_not(job: Job) -> str:
    """Why a trained model cannot be run here, in a sentence; empty if it can."""
    if job.model_deleted_at:
        return MODEL_DELETED
    if job.is_simulated:
        return SIMULATED
    sentence = _why_not_at_segmind(job) if job.is_at_segmind else _why_not_elsewhere(job)
    return sentence or (DISABLED if job.connection.is_disabled else "")


def _why_not_at_segmind(job: Job) -> str:
    if not job.slug:
        return NO_SLUG
    return UNABLE if job.connection.capabilities and "run" not in job.connection.capabilities else ""


def _why_not_elsewhere(job: Job) -> str:
    trainer = trainers.find(job.connection, job.trainer)
    if trainer is None or not trainer.model or Capability.GENERATE not in job.connection.capabilities:
        return NO_MODEL.format(name=job.connection)
    return FILE_GONE if job.file_gone_at or not job.cloud_storage_url else ""


def is_trained(job: Job) -> bool:
    return job.state == State.READY


def can_run(job: Job) -> bool:
    return is_trained(job) and not why_not(job)


def was_run(job: Job) -> bool:
    return Generation.objects.filter(job=job).exists()


def is_paid(connection: Connection) -> bool:
    """Whether a run may cost money: at any provider but an engine, which is the team's own hardware."""
    return connection.kind != Kind.ENGINE and "run" not in connection.capabilities


def price_of(connection: Connection) -> str:
    """What is known of the price of a run, in sentences; empty where none is paid."""
    if not is_paid(connection):
        return ""
    return choices.PAID if connection.speaks_segmind else choices.PAYS.format(name=connection)


def visible(user: User) -> QuerySet[Generation]:
    if not user.is_active:
        return Generation.objects.none()
    rows = Generation.objects.filter(projects.is_seen(user, "job__project"))
    return rows.select_related("owner", "job__connection", "job__project", "input", "baseline")


def generation_to_see(user: User, pk: int) -> Generation:
    return get_object_or_404(visible(user), pk=pk)


def may_change(user: User, generation: Generation) -> bool:
    return user.can_administer or (user.can_train and generation.owner_id == user.pk)


def generation_to_change(user: User, pk: int) -> Generation:
    generation = generation_to_see(user, pk)
    if not may_change(user, generation):
        raise PermissionDenied("Only the person who ran this, or an admin, can do that.")
    return generation


def inputs(user: User) -> QuerySet[Input]:
    """The pictures of runs that the person sees, and the person's own that no run has used."""
    if not user.is_active:
        return Input.objects.none()
    if user.can_administer:
        return Input.objects.all()
    seen = _USES.filter(projects.is_seen(user, "job__project"))
    unused = _unused(user) & projects.is_seen(user, "dataset__project")  # some are of its pairs
    return Input.objects.filter(Exists(seen) | unused)


def inputs_beside(user: User, job: Job | None) -> QuerySet[Input]:
    """The pictures that a run of this job may share with others, the earliest first.

    Whoever sees the job's runs sees them anyway: they were used in its project or in an open one, or they are
    the person's own that no run has used.
    """
    own_project = job.project_id if job else None
    used = Exists(_USES.filter(_is_open_or(own_project, "job__project")))
    unused = _unused(user) & _is_open_or(own_project, "dataset__project")
    return inputs(user).filter(used | unused).order_by("pk")


def _is_open_or(own: int | None, path: str) -> Q:
    """The condition for rows whose project, at this path, is none, an open one, or the own one."""
    is_open = Q(**{path: None}) | Q(**{f"{path}__is_private": False})
    return is_open if own is None else is_open | Q(**{path: own})


def _unused(user: User) -> Q:
    return Q(~Exists(_USES), owner=user)


def input_to_see(user: User, pk: int) -> Input:
    return get_object_or_404(inputs(user), pk=pk)


def input_named(user: User, value: str, jobs: list[Job]) -> Input | None:
    """The input of a form value such as input-12, if runs of these jobs may use it."""
    _, _, text = value.partition("input-")
    key = parse_key(text)
    return inputs_beside(user, jobs[0]).filter(pk=key).first() if key and jobs else None
