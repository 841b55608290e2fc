"""The one door to tokens, and to jobs by the id that the gateway calls them by."""

from __future__ import annotations

import uuid

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404

from finetune_portal.accounts.models import User
from finetune_portal.gateway.models import AccessToken
from finetune_portal.jobs import access as jobs
from finetune_portal.jobs.choices import DOWNLOADABLE
from finetune_portal.jobs.models import Job

# What the list tells; a script may ask for 100,000 rows again and again.
LISTED = (
    *("form_key", "name", "state", "provider_status", "error", "request_id", "is_public", "wants_public"),
    *("cloud_storage_url", "instance_prompt", "steps", "learning_rate", "provider_data"),
    *("dataset__key", "dataset__filename", "dataset__source_url"),
)


def tokens(user: User) -> QuerySet[AccessToken]:
    """One's own, and for an admin everyone's; those that were revoked are only in the record."""
    rows = AccessToken.objects.select_related("owner").filter(revoked=None).order_by("-pk")
    return rows if user.can_administer else rows.filter(owner=user)


def token_to_revoke(user: User, pk: int) -> AccessToken:
    return get_object_or_404(tokens(user), pk=pk)


def listed(user: User) -> QuerySet[Job]:
    """What the table shows, newest first; archived jobs are left out."""
    rows = jobs.visible(user).filter(archived_at=None).order_by("-pk")
    return rows.select_related(None).select_related("dataset").only(*LISTED)


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
    found = jobs.visible(user).filter(state__in=DOWNLOADABLE, cloud_storage_url=cloud_storage_url)
    return get_object_or_404(found.order_by("-pk")[:1])
