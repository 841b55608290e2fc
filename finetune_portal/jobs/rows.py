"""A row of the table as HTML, rendered once for each state it is in, whoever looks."""

from __future__ import annotations

from django.core.cache import cache
from django.template.loader import render_to_string
from django.utils.safestring import SafeString, mark_safe

from finetune_portal.jobs.models import Job

NO_TOKEN = "csrf-token-of-the-viewer"  # noqa: S105 - stands where the viewer's own token goes
KEPT_SECONDS = 3600


def row(job: Job, *, may_change: bool, token: str = NO_TOKEN) -> SafeString:
    """`token` is the viewer's CSRF token, for those who post without scripts; it is never kept."""
    dataset, owner = job.dataset, job.owner
    told = (job.changed, may_change, dataset and dataset.changed, owner and owner.name)
    key = f"row-{job.pk}-{hash(told)}"
    html = cache.get(key)
    if html is None:
        job.may_change = may_change  # type: ignore[attr-defined]
        html = render_to_string("jobs/_row.html", {"job": job, "csrf_token": NO_TOKEN}).strip()
        cache.set(key, html, KEPT_SECONDS)
    return mark_safe(str(html).replace(NO_TOKEN, token))  # noqa: S308 - our own template's output
