"""The jobs that a person selected in the table, and the way back to it."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict
from django.urls import reverse

from finetune_portal.accounts.models import User
from finetune_portal.jobs import access
from finetune_portal.jobs.models import Job
from finetune_portal.web.errors import ActionError
from finetune_portal.web.keys import parse_key

MAX_SELECTED = 50


def selected_jobs(user: User, keys: list[str]) -> list[Job]:
    """Return the jobs with these keys, the newest first. Raises ActionError without any, and for too many."""
    if len(_parse(keys)) > MAX_SELECTED:
        raise ActionError(f"Nothing was done: select at most {MAX_SELECTED} jobs at a time.")
    jobs = list(jobs_with_keys(user, keys).order_by("-pk"))
    if not jobs:
        raise ActionError("Select one or more jobs first.")
    return jobs


def jobs_with_keys(user: User, keys: list[str]) -> QuerySet[Job]:
    """The first MAX_SELECTED of these jobs. A key may be several with commas between them, as a sweep has."""
    return access.visible(user).filter(pk__in=_parse(keys)[:MAX_SELECTED])


def _parse(keys: list[str]) -> list[int]:
    pks = (parse_key(key) for text in keys for key in text.split(","))
    return list(dict.fromkeys(pk for pk in pks if pk is not None))


def table_url(request: HttpRequest) -> str:
    """Return the URL of the table with the filters that the form, or the page after it, names."""
    query = (request.POST or request.GET).get("query", "")
    return f"{reverse('jobs:list')}?{QueryDict(query).urlencode()}"
