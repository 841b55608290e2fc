"""The one door to the playground: everyone on the team sees all, makers run, the owner and admins delete."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection, Kind
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.playground.models import Generation, Input

SIMULATED = "Nothing to try: the local engine simulated this training. “make run-train” trains for real."
NO_ADDRESS = "The upstream gave this model no address, so it cannot be run from here."
UNABLE = "The engine that trained this model cannot run models."
RESTING = "The connection of this model is switched off, so it cannot be run from here."


def why_not(job: Job) -> str:
    """Why a trained model cannot be run from here, in a sentence; empty if it can."""
    if job.is_simulated:
        return SIMULATED
    if not job.slug:
        return NO_ADDRESS
    if job.connection.capabilities and "run" not in job.connection.capabilities:
        return UNABLE
    return RESTING if job.connection.is_disabled else ""


def is_trained(job: Job) -> bool:
    return job.state == State.READY


def can_run(job: Job) -> bool:
    return is_trained(job) and not why_not(job)


def is_paid(connection: Connection) -> bool:
    """An engine is somebody's own hardware; of all others nobody knows."""
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
    """By what a form sends for it, such as input-12."""
    _, _, number = value.partition("input-")
    return inputs(user).filter(pk=int(number)).first() if number.isdecimal() and len(number) < 19 else None
