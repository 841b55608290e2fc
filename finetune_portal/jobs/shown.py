"""What higher apps show of a job on its own pages, read together with the job."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import Model, Prefetch, QuerySet

J = TypeVar("J", bound=Model)
# Names for `prefetch_related`. An app adds its own when it starts (apps.py).
RELATIONS: list[str] = []
ROW_RELATIONS: list[Prefetch[Any, Any, Any]] = []  # only of rows of the table


def with_shown(jobs: QuerySet[J]) -> QuerySet[J]:
    """Read for all these jobs at once what their badges and rows show of higher apps."""
    return jobs.prefetch_related(*RELATIONS)
