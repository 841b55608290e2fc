"""The only access to generations: everyone sees all, makers run models, owners and admins delete."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection, Kind
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.playground.models import Generation, Input
from finetune_portal.web.keys import parse_key

SIMULATED = "This model cannot be run, because the local engine only simulated its training."
NO_SLUG = "The provider gave this model no address, so it cannot be run here."
UNABLE = "The engine that trained this model cannot run models."
DISABLED = "The connection of this model is deactivated, so it cannot be run here."


def why_not(job: Job) -> str:
    """Why a trained model cannot be run here, in a sentence; empty if it can."""
    if job.is_simulated:
        return SIMULATED
    if not job.slug:
        return NO_SLUG
    if job.connection.capabilities and "run" not in job.connection.capabilities:
        return UNABLE
    return DISABLED if job.connection.is_disabled else ""


def is_trained(job: Job) -> bool:
    return job.state == State.READY


def can_run(job: Job) -> bool:
    return is_trained(job) and not why_not(job)


def was_run(job: Job) -> bool:
    return Generation.objects.filter(job=job).exists()


def is_paid(connection: Connection) -> bool:
    """Whether a run may cost money: at any provider but an engine, which is the team's own hardware."""
    return connection.kind != Kind.ENGINE and "run" not in connection.capabilities


def visible(user: User) -> QuerySet[Generation]:
    rows = Generation.objects.select_related("owner", "job__connection", "input", "baseline")
    return rows if user.is_active else Generation.objects.none()


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
    return Input.objects.all() if user.is_active else Input.objects.none()


def input_to_see(user: User, pk: int) -> Input:
    return get_object_or_404(inputs(user), pk=pk)


def input_named(user: User, value: str) -> Input | None:
    """The input of a form value such as input-12."""
    _, _, text = value.partition("input-")
    key = parse_key(text)
    return inputs(user).filter(pk=key).first() if key else None
