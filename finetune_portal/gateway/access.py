"""Which tokens a person may see and revoke, and jobs and generations by their names in the API."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from django.db.models import F, QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404

from finetune_portal.accounts.models import User
from finetune_portal.gateway.models import PersonalToken
from finetune_portal.jobs import access as jobs
from finetune_portal.jobs.choices import DOWNLOADABLE, State
from finetune_portal.jobs.models import Job
from finetune_portal.playground import access as playground
from finetune_portal.playground.models import Generation

# The columns of the list; a script may ask for 100,000 rows again and again.
LISTED = (
    *("form_key", "name", "state", "provider_status", "error", "request_id", "is_public", "wants_public"),
    *("cloud_storage_url", "instance_prompt", "steps", "learning_rate", "parameters", "provider_data"),
    *("dataset__key", "dataset__filename", "dataset__source_url"),
    *("model_deleted_at", "trainer", "connection__name", "connection__provider", "project__name"),
)
NOT_DELETED_FIRST = F("model_deleted_at").asc(nulls_first=True)


def tokens(user: User) -> QuerySet[PersonalToken]:
    """A person's own, and for an admin everyone's. Revoked ones are only in the audit log."""
    rows = PersonalToken.objects.select_related("owner").filter(revoked_at=None).order_by("-pk")
    return rows if user.can_administer else rows.filter(owner=user)


def token_to_revoke(user: User, pk: int) -> PersonalToken:
    return get_object_or_404(tokens(user), pk=pk)


def listed(user: User) -> QuerySet[Job]:
    """The jobs of the table, newest first, without archived ones."""
    rows = jobs.visible(user).filter(archived_at=None).order_by("-pk")
    return rows.select_related(None).select_related("dataset", "connection", "project").only(*LISTED)


def job_to_see(user: User, request_id: str) -> Job:
    try:
        key = uuid.UUID(request_id)
    except ValueError:
        raise Http404 from None
    return get_object_or_404(jobs.visible(user), form_key=key)


def own_job(user: User, key: uuid.UUID) -> Job | None:
    return jobs.visible(user).filter(form_key=key, owner=user).first()


def job_to_change(user: User, request_id: str) -> Job:
    return jobs.job_to_change(user, job_to_see(user, request_id).pk)


def job_with_model(user: User, cloud_storage_url: str) -> Job:
    """Of several the newest whose model was not deleted."""
    rows = jobs.visible(user).filter(state__in=DOWNLOADABLE, cloud_storage_url=cloud_storage_url)
    return get_object_or_404(rows.order_by(NOT_DELETED_FIRST, "-pk")[:1])


def job_to_run(user: User, slug: str) -> Job:
    """The job whose model has this slug; of several the newest that is trained and was not deleted.

    Where the provider has no slugs, the nonce at the end of `Job.run_slug` counts.
    """
    rows = jobs.visible(user).select_related("connection")
    by_slug = rows.filter(slug=slug).exclude(slug="").order_by("-pk")
    trained = by_slug.filter(state=State.READY).order_by(NOT_DELETED_FIRST, "-pk")
    job = trained.first() or by_slug.first()
    return job or get_object_or_404(rows.exclude(trainer=""), nonce=slug.rpartition("-")[2])


def generations(user: User) -> QuerySet[Generation]:
    return playground.visible(user)


def generation_to_see(user: User, key: uuid.UUID) -> Generation:
    return get_object_or_404(playground.visible(user), key=key)


def own_generation(user: User, key: uuid.UUID) -> Generation | None:
    return playground.visible(user).filter(key=key, owner=user).first()


def equal_generation(user: User, since: datetime, **fields: Any) -> Generation | None:
    """The newest generation with these fields since then that has its picture, or may still get it."""
    states = (Generation.State.QUEUED, Generation.State.RUNNING, Generation.State.DONE)
    rows = playground.visible(user).filter(created_at__gte=since, state__in=states, **fields)
    newest = rows.order_by("-pk").first()
    return newest if newest and (newest.is_active or newest.path.exists()) else None
