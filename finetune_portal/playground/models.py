"""An input picture, and the generations that models made of it."""

from __future__ import annotations

import uuid
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import models
from django.utils.timezone import now

from finetune_portal.connections.models import Connection
from finetune_portal.costs.models import Cost
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Job
from finetune_portal.queue.leases import Leased


def folder() -> Path:
    return Path(settings.DATA_DIR) / "playground"


class Input(models.Model):
    """An input picture: upright, without metadata, of limited size.

    Equal pictures share a file, and a row where the same people may see them (access.py). Until a run uses
    it, only its owner does.
    """

    sha256 = models.CharField(max_length=64, db_index=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)
    kind = models.CharField(max_length=4)  # png or jpeg
    name = models.CharField(max_length=255)
    dataset = models.ForeignKey(Dataset, on_delete=models.SET_NULL, null=True, related_name="+")
    number = models.PositiveIntegerField(null=True)  # of the pair in the dataset, from 0
    created_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> Path:
        return folder() / "inputs" / f"{self.sha256}.{self.kind}"


class Generation(Leased):
    """One picture made by a model. The worker holds its lease while the model runs; a run may be charged."""

    class State(models.TextChoices):
        QUEUED = "queued", "Waits its turn"
        RUNNING = "running", "Being made"
        DONE = "done", "Done"
        FAILED = "failed", "Not made"
        UNCONFIRMED = "unconfirmed", "Answer lost"

    ACTIVE = (State.QUEUED, State.RUNNING)

    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="generations")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="+")
    input = models.ForeignKey(Input, on_delete=models.PROTECT, related_name="generations")
    batch = models.UUIDField(null=True, editable=False, db_index=True)  # shared by those of one form
    compare_to = models.OneToOneField("self", on_delete=models.CASCADE, null=True, related_name="baseline")

    prompt = models.TextField()
    strength = models.FloatField()
    seed = models.PositiveBigIntegerField()
    steps = models.PositiveIntegerField(null=True)  # None is the model's own number
    guidance = models.FloatField(null=True)  # None, too

    state = models.CharField(max_length=12, choices=State.choices, default=State.QUEUED)
    error = models.TextField(blank=True)
    detail = models.TextField(blank=True)
    hosted_url = models.CharField(max_length=2000, blank=True)  # of the input at the provider
    hosted_at = models.DateTimeField(null=True)
    kind = models.CharField(max_length=4, blank=True)  # of the result: png, jpeg or webp
    cost = models.FloatField(null=True)  # of all its runs, as the provider says; None where it does not
    currency = models.CharField(max_length=10, default="credits")  # of the cost
    latest_cost = models.ForeignKey(Cost, on_delete=models.SET_NULL, null=True, related_name="+")
    is_automatic = models.BooleanField(default=False)  # queued by the portal (first_results.py)
    created_at = models.DateTimeField(default=now)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["job", "-id"], name="generation_of_job"),
            models.Index(
                fields=["connection", "due_at"], name="generation_to_run", condition=models.Q(state="queued")
            ),
        ]

    def __str__(self) -> str:
        return f"{self.job} on {self.input}"

    @property
    def path(self) -> Path:
        """The file of the result."""
        return folder() / "results" / f"{self.key}.{self.kind}"

    @property
    def is_active(self) -> bool:
        return self.state in self.ACTIVE

    @property
    def is_done(self) -> bool:
        return self.state == self.State.DONE

    @property
    def is_base(self) -> bool:
        """Made without the LoRA."""
        return self.strength == 0

    @property
    def can_run_again(self) -> bool:
        return self.state in (self.State.FAILED, self.State.UNCONFIRMED)

    @property
    def baseline_or_none(self) -> Generation | None:
        """The same generation without the LoRA."""
        return getattr(self, "baseline", None)

    @property
    def is_changing(self) -> bool:
        """Whether this generation or its baseline is not finished."""
        return self.is_active or (self.baseline_or_none is not None and self.baseline_or_none.is_active)

    @property
    def stamp(self) -> str:
        """Changes whenever something changes that a page shows."""
        other = f"-{self.baseline_or_none.stamp}" if self.baseline_or_none else ""
        return f"{self.state}-{self.attempts}{other}"

    @property
    def took(self) -> timedelta | None:
        return self.ended_at - self.started_at if self.ended_at and self.started_at else None


class FirstResults(Leased):
    """A job whose model is to run by itself (first_results.py). The row goes when its runs are queued."""

    job = models.OneToOneField(Job, on_delete=models.CASCADE, related_name="+")

    def __str__(self) -> str:
        return str(self.job)


class AwaitedBill(Leased):
    """A run, or a deleted job, that its provider bills a while later (bills.py).

    It goes with the bill, or when none comes.
    """

    cost = models.OneToOneField(Cost, on_delete=models.CASCADE, related_name="+")
    generation = models.ForeignKey(Generation, on_delete=models.SET_NULL, null=True, related_name="+")
    trainer = models.CharField(max_length=200)
    run = models.CharField(max_length=100)  # its id at the provider, or that of the job
    created_at = models.DateTimeField(default=now)  # of a job: when it ended
    has_failed = models.BooleanField(default=False)  # a job that failed and gets no bill was not charged

    def __str__(self) -> str:
        return self.run
