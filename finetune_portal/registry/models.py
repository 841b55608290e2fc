"""What a finished job made: a model, and its files in the portal's own storage."""

from __future__ import annotations

import uuid
from pathlib import Path

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.timezone import now

from finetune_portal.jobs.models import Job
from finetune_portal.queue.leases import Leased

FOLDER = "models"  # of DATA_DIR


def new_place() -> str:
    """Return a place that no other file has. No part of a name that people typed reaches the disk."""
    return f"{FOLDER}/{uuid.uuid4()}.safetensors"


class Model(models.Model):
    """The model of one job."""

    job = models.OneToOneField(Job, on_delete=models.PROTECT, related_name="model")
    created_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"model of job {self.job_id}"


class ModelFile(Leased):
    """A file of a model: the weights after the last step, or those of a checkpoint.

    It is copied while it is WANTED (copying.py). `received` bytes are on the disk until it is whole.
    """

    class Kind(models.TextChoices):
        WEIGHTS = "weights", "Weights"
        CHECKPOINT = "checkpoint", "Checkpoint"

    class State(models.TextChoices):
        WANTED = "wanted", "On its way"
        STORED = "stored", "Stored"
        FAILED = "failed", "Not copied"
        REMOVED = "removed", "Removed"

    model = models.ForeignKey(Model, on_delete=models.PROTECT, related_name="files")
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.WEIGHTS)
    step = models.PositiveIntegerField(null=True)  # None: the last one
    place = models.CharField(max_length=100, default=new_place, unique=True)  # below DATA_DIR
    state = models.CharField(max_length=10, choices=State.choices, default=State.WANTED)
    requested_at = models.DateTimeField(default=now)
    failing_since = models.DateTimeField(null=True)  # None once it goes on
    waits_for_room = models.BooleanField(default=False)
    error = models.CharField(max_length=300, blank=True)

    size = models.BigIntegerField(null=True)  # bytes; None until the provider names it
    received = models.BigIntegerField(default=0)
    etag = models.CharField(max_length=200, blank=True)  # by which a download goes on at the provider
    sha256 = models.CharField(max_length=64, blank=True)
    stored_at = models.DateTimeField(null=True)
    used_at = models.DateTimeField(null=True)  # stored or last downloaded

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["model", "kind", "step"], name="one_file_of_a_step"),
            models.UniqueConstraint(
                fields=["model", "kind"], condition=Q(step=None), name="one_file_of_the_last_step"
            ),
        ]
        indexes = [
            models.Index(fields=["due_at"], name="model_file_wanted", condition=Q(state="wanted")),
            models.Index(fields=["used_at"], name="model_file_stored", condition=Q(state="stored")),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.model}"

    def lock_job(self) -> None:
        """Lock the row of the job, in a transaction that changes both.

        It is locked before its model file everywhere, also where a job is deleted: that rules out a deadlock.
        """
        list(Job.objects.select_for_update(no_key=True).filter(pk=self.model.job_id).values_list("pk"))

    @property
    def path(self) -> Path:
        return Path(settings.DATA_DIR) / self.place

    @property
    def percent(self) -> int | None:
        """How much of it has arrived, rounded down; None while its size is not known."""
        return 100 * self.received // self.size if self.size else None
