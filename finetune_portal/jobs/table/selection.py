"""The jobs that a person selected in the table, and the way back to it."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict
from django.urls import reverse

from finetune_portal.accounts.models import User
from finetune_portal.jobs import access
from finetune_portal.jobs.models import Job
from finetune_portal.web.keys import parse_key

MAX_SELECTED = 50


def selected_jobs(user: User, keys: list[str]) -> list[Job]:
    """Return the jobs with these keys, the newest first, at most MAX_SELECTED."""
    return list(jobs_with_keys(user, keys).order_by("-pk"))


def jobs_with_keys(user: User, keys: list[str]) -> QuerySet[Job]:
    pks = [pk for key in keys if (pk := parse_key(key)) is not None][:MAX_SELECTED]
    return access.visible(user).filter(pk__in=pks)


def table_url(request: HttpRequest) -> str:
    """Return the URL of the table with the filters that the form, or the page after it, names."""
    query = (request.POST or request.GET).get("query", "")
    return f"{reverse('jobs:list')}?{QueryDict(query).urlencode()}"
