"""Bulk actions: make jobs private, list their download links, archive them."""

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
    """How many were made private, and a sentence for each that was not."""
    done, troubles = 0, []
    for job in jobs:
        if not job.is_public:
            continue
        try:
            services.set_public(job, public=False, actor=actor)
            done += 1
        except ActionError as exc:
            troubles.append(f"“{job.name}”: {exc}")
    return done, troubles


def links(jobs: Iterable[Job], *, actor: User) -> str:
    """A text file: name and fresh link of each, tab between them. A link is good for one hour."""
    lines = []
    for job in jobs:
        name = " ".join(job.name.split())  # one line and one column, whatever people call it
        try:
            lines.append(f"{name}\t{services.download_link(job, actor=actor)}")
        except ActionError as exc:
            lines.append(f"{name}\t# {exc}")
    return "\n".join(lines) + "\n"


def archive(jobs: Iterable[Job], *, actor: User, back: bool = False) -> list[int]:
    """Take jobs out of the table, or bring them back. Nothing is deleted. Answers which were moved."""
    moved = [job.pk for job in jobs if (job.archived_at is None) is not back]
    with transaction.atomic():
        Job.objects.filter(pk__in=moved).update(archived_at=None if back else now(), updated_at=now())
        for job in jobs:
            if job.pk in moved:
                note(job, "Back in the table" if back else "Archived", source=Source.PERSON, actor=actor)
                record(actor, "job.unarchive" if back else "job.archive", job, name=job.name)
    return moved
