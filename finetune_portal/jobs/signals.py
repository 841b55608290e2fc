"""Keep open what jobs outside of a project were made of, and hide the costs of hidden jobs."""

from __future__ import annotations

from typing import Any

from django.dispatch import receiver

from finetune_portal.costs.access import HIDDEN_JOBS
from finetune_portal.jobs import access, limits, placement
from finetune_portal.projects.models import Project
from finetune_portal.projects.services import closing, lock
from finetune_portal.web.errors import ActionError

HIDDEN_JOBS.append(access.hidden_keys)


@receiver(closing)
def check_datasets(project: Project, **_: Any) -> None:
    """Raise ActionError where jobs outside of the project show its datasets."""
    limits.lock()
    lock(project)  # so that nothing comes into it after this look
    if count := placement.outside(project):
        jobs = "1 job outside of this project was" if count == 1 else f"{count:,} jobs outside of it were"
        raise ActionError(f"{jobs} started with its datasets, and would still show them.")
