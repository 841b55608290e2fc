"""Which tokens a person may see and revoke, and jobs by their id in the API."""

from __future__ import annotations

import uuid

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404

from finetune_portal.accounts.models import User
from finetune_portal.gateway.models import PersonalToken
from finetune_portal.jobs import access as jobs
from finetune_portal.jobs.choices import DOWNLOADABLE
from finetune_portal.jobs.models import Job

# The columns of the list; a script may ask for 100,000 rows again and again.
LISTED = (
    *("form_key", "name", "state", "provider_status", "error", "request_id", "is_public", "wants_public"),
    *("cloud_storage_url", "instance_prompt", "steps", "learning_rate", "parameters", "provider_data"),
    *("dataset__key", "dataset__filename", "dataset__source_url"),
)


def tokens(user: User) -> QuerySet[PersonalToken]:
    """A person's own, and for an admin everyone's. Revoked ones are only in the audit log."""
    rows = PersonalToken.objects.select_related("owner").filter(revoked_at=None).order_by("-pk")
    return rows if user.can_administer else rows.filter(owner=user)


def token_to_revoke(user: User, pk: int) -> PersonalToken:
    return get_object_or_404(tokens(user), pk=pk)


def listed(user: User) -> QuerySet[Job]:
    """The jobs of the table, newest first, without archived ones."""
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
    rows = jobs.visible(user).filter(state__in=DOWNLOADABLE, cloud_storage_url=cloud_storage_url)
    return get_object_or_404(rows.order_by("-pk")[:1])
