"""Bulk actions: make jobs private, archive them."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.jobs import services
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.timeline import Source, note
from finetune_portal.web.errors import ActionError


def make_private(jobs: Iterable[Job], *, actor: User) -> tuple[int, list[str]]:
    """Return how many were made private, and a sentence for each that was not."""
    count, failures = 0, []
    for job in jobs:
        if not job.is_public:
            continue
        try:
            services.set_public(job, public=False, actor=actor)
            count += 1
        except ActionError as exc:
            failures.append(f"“{job.name}”: {exc}")
    return count, failures


def archive(jobs: Iterable[Job], *, actor: User, restore: bool = False) -> list[int]:
    """Archive jobs, or restore archived ones. Nothing is deleted. Return the keys of the changed jobs."""
    changed = [job.pk for job in jobs if (job.archived_at is None) is not restore]
    text = "Restored from the archive" if restore else "Archived"
    with transaction.atomic():
        rows = Job.objects.select_for_update(no_key=True).filter(pk__in=changed).order_by("pk")
        changed = list(rows.values_list("pk", flat=True))  # those that nobody deleted meanwhile
        Job.objects.filter(pk__in=changed).update(archived_at=None if restore else now(), updated_at=now())
        for job in jobs:
            if job.pk in changed:
                note(job, text, source=Source.PERSON, actor=actor)
                record(actor, "job.unarchive" if restore else "job.archive", job, name=job.name)
    return changed
