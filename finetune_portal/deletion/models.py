"""What is still to be deleted of jobs and datasets whose rows are gone."""

from __future__ import annotations

from typing import NamedTuple

from django.db import models
from django.utils.timezone import now

from finetune_portal.queue.leases import Leased


class AtProvider(NamedTuple):
    """Something to be deleted at a provider: a job by its id, or a stored file by its address."""

    connection: int
    kind: str  # job or file
    name: str


class Deletion(Leased):
    """Files and copies at providers to be deleted, by the worker (finishing.py). The row goes when they are.

    `places` are below DATA_DIR and have no part of a name that people typed.
    """

    created_at = models.DateTimeField(default=now)
    thing = models.CharField(max_length=120)  # as in the audit record, such as "job 7"
    places = models.JSONField(default=list)
    at_provider = models.JSONField(default=list)  # lists of the fields of AtProvider
    error = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return self.thing
