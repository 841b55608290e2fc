"""The only access to jobs: everyone sees those of no private project, the owner and admins change them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.shortcuts import get_object_or_404

from finetune_portal.accounts.models import User
from finetune_portal.jobs.models import Job, Preset
from finetune_portal.projects import access as projects


def visible(user: User) -> QuerySet[Job]:
    """All but those of private projects of others. A job's dataset may be seen by whoever sees the job."""
    if not user.is_active:
        return Job.objects.none()
    return Job.objects.filter(projects.is_seen(user)).select_related("owner", "dataset", "project")


def hidden_keys(user: User) -> QuerySet[Job, Any]:
    """The keys of the jobs of private projects of others."""
    return Job.objects.filter(project__in=projects.hidden(user)).values("pk")


def job_to_see(user: User, pk: int) -> Job:
    return get_object_or_404(visible(user), pk=pk)


def right_to_change(user: User) -> Callable[[Job], bool]:
    """Return a check of which jobs a person may change, for many jobs at once."""
    if user.can_administer:
        return lambda _: True
    own = user.pk if user.can_train else None
    return lambda job: own is not None and job.owner_id == own


def may_change(user: User, job: Job) -> bool:
    return right_to_change(user)(job)


def job_to_change(user: User, pk: int) -> Job:
    job = job_to_see(user, pk)
    if not may_change(user, job):
        raise PermissionDenied("Only the person who started this job, or an admin, can do that.")
    return job


def presets(user: User) -> QuerySet[Preset]:
    """All but those of private projects of others."""
    return Preset.objects.filter(projects.is_seen(user)).select_related("owner", "project")


def preset_to_delete(user: User, pk: int) -> Preset:
    preset = get_object_or_404(presets(user), pk=pk)
    if preset.owner_id != user.pk and not user.can_administer:
        raise PermissionDenied("Only the person who made this preset, or an admin, can delete it.")
    return preset


def is_there(job: Job) -> bool:
    """Whether nobody deleted it meanwhile."""
    return Job.objects.filter(pk=job.pk).exists()
