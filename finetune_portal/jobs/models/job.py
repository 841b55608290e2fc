"""A job, and the progress of its training."""

from __future__ import annotations

import secrets
import uuid
from datetime import timedelta
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.text import slugify
from django.utils.timezone import now

from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs import choices
from finetune_portal.jobs.choices import State
from finetune_portal.projects.models import Project
from finetune_portal.queue.leases import Leased
from finetune_portal.web.names import ascii_name

GROUPED = [
    (key, (label, [str(state) for state in states])) for key, (label, states) in choices.GROUPS.items()
]
NONCE_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


def new_nonce() -> str:
    return "".join(secrets.choice(NONCE_ALPHABET) for _ in range(8))


def is_cancelled(state: str, error: str) -> bool:
    """Whether a job failed because it was cancelled, which a provider reports as this error."""
    return state == State.FAILED and error.strip(".").lower() == "cancelled"


class Job(Leased):
    """One job. `state` is the portal's word for where it is, `provider_status` the provider's."""

    name = models.CharField(max_length=80)
    nonce = models.CharField(max_length=8, default=new_nonce, unique=True, editable=False)
    form_key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True)
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, null=True, related_name="jobs")
    project = models.ForeignKey(
        Project, on_delete=models.PROTECT, null=True, related_name="jobs", db_index=False
    )
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="jobs")
    instance_prompt = models.TextField("prompt", max_length=1000, blank=True)
    learning_rate = models.FloatField(null=True)
    steps = models.PositiveIntegerField(null=True)
    trainer = models.CharField(max_length=200, blank=True, default="")  # an id of connections/trainers.py
    parameters = models.JSONField(default=dict)  # further ones (connections/parameters.py)
    machine_type = models.CharField(
        max_length=40, choices=choices.Machine.choices, default=choices.Machine.H100
    )
    wants_public = models.BooleanField(default=False)

    state = models.CharField(max_length=15, choices=State.choices, default=State.QUEUED, db_index=True)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(default=now)
    sent_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    updated_at = models.DateTimeField(default=now, db_index=True)

    request_id = models.CharField(max_length=100, null=True, unique=True)  # noqa: DJ001 - unique
    provider_addresses = models.JSONField(default=dict)  # where the provider answers for the job
    provider_status = models.CharField(max_length=100, blank=True)
    last_listed_as = models.CharField(max_length=110, blank=True)  # its status in the last list
    is_public = models.BooleanField(default=False)
    slug = models.CharField(max_length=200, blank=True)
    cloud_storage_url = models.CharField(max_length=2000, blank=True)
    is_simulated = models.BooleanField(default=False)
    provider_data = models.JSONField(default=dict)

    cancel_requested_at = models.DateTimeField(null=True)  # a person asked to cancel it
    credits_before = models.FloatField(null=True)  # balance of the account before
    credits_before_at = models.DateTimeField(null=True)
    credits_after = models.FloatField(null=True)  # and after the job
    cost = models.FloatField(null=True)  # None where it is not known (sync/cost.py)
    estimated_cost = models.FloatField(null=True)  # by the price that the provider published when it was sent
    currency = models.CharField(max_length=10, default="credits")  # of both
    # Of its model file (registry/), which is wanted home from the first moment until it is there or given up.
    file_check_requested_at = models.DateTimeField(null=True)
    file_kept_at = models.DateTimeField(null=True)  # since when the portal has a copy of its own
    file_sha256 = models.CharField(max_length=64, blank=True)
    file_size = models.BigIntegerField(null=True)
    file_error = models.CharField(max_length=300, blank=True)
    file_gone_at = models.DateTimeField(null=True)  # the provider's storage no longer had it
    model_deleted_at = models.DateTimeField(null=True)  # here, by a person (deletion/)
    model_deleted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, related_name="+", db_index=False
    )

    group = models.GeneratedField(
        expression=models.Case(
            *[models.When(state__in=states, then=models.Value(key)) for key, (_, states) in GROUPED],
            default=models.Value(""),
        ),
        output_field=models.CharField(max_length=10),
        db_persist=True,
    )
    sweep = models.UUIDField(null=True, editable=False, db_index=True)
    sweep_axes = models.JSONField(default=list)  # the names of the parameters that vary in it
    is_best = models.BooleanField(default=False)  # of its sweep, as a person says
    note = models.TextField(blank=True, max_length=4000)
    tags = models.CharField(max_length=200, blank=True)
    archived_at = models.DateTimeField(null=True, db_index=True)

    class Meta:
        indexes = [
            # Those that the table walks end with the project, so that hidden jobs are not read.
            models.Index(fields=["archived_at", "-id", "project"], name="jobs_by_id"),
            models.Index(fields=["archived_at", "group", "-id", "project"], name="jobs_of_a_group"),
            models.Index(fields=["owner", "-id"]),
            models.Index(fields=["dataset", "-id"]),
            models.Index(fields=["project", "-id"], name="jobs_of_a_project"),
            models.Index(fields=["project", "archived_at", "group", "-id"], name="grouped_jobs_of_a_project"),
            models.Index(
                fields=["owner", "archived_at", "group", "-id", "project"], name="grouped_jobs_of_a_person"
            ),
            models.Index(fields=["dataset", "archived_at", "group", "-id"], name="jobs_of_a_dataset"),
            models.Index(
                fields=["archived_at", "-id", "group"], name="public_jobs", condition=models.Q(is_public=True)
            ),
            models.Index(
                fields=["-id", "group"], name="archived_jobs", condition=models.Q(archived_at__isnull=False)
            ),
            models.Index(fields=["archived_at", "name", "id", "project"], name="jobs_by_name"),
            models.Index(fields=["archived_at", "updated_at", "id", "project"], name="jobs_by_change"),
            models.Index(fields=["state", "-id"]),
            models.Index(fields=["connection", "trainer", "state", "-id"], name="jobs_of_a_trainer"),
            models.Index(fields=["slug"], name="job_by_slug", condition=~models.Q(slug="")),
            models.Index(
                fields=["due_at"],
                name="file_to_check",
                condition=models.Q(file_check_requested_at__isnull=False),
            ),
            models.Index(
                fields=["connection"],
                name="balance_to_ask",
                condition=models.Q(
                    credits_before__isnull=False, credits_after__isnull=True, ended_at__isnull=False
                ),
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["sweep"], name="one_best_of_a_sweep", condition=models.Q(is_best=True)
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("jobs:detail", args=[self.pk])

    @property
    def name_at_provider(self) -> str:
        """The name sent to the provider, in ASCII; its nonce finds the job when an answer is lost."""
        return f"{ascii_name(self.name, otherwise='job')[:80]}-{self.nonce}"

    @property
    def run_slug(self) -> str:
        """What its model is called in `POST /v1/<slug>` of the portal's API; empty where nothing is to call.

        The provider's slug, or for a provider without slugs the name and the nonce, of which only the nonce
        counts: it stays when the job is renamed.
        """
        if self.is_at_segmind:
            return self.slug
        return f"{slugify(ascii_name(self.name, otherwise='')) or 'model'}-{self.nonce}"

    @property
    def is_active(self) -> bool:
        return self.state in choices.ACTIVE

    @property
    def is_external(self) -> bool:
        """Whether the job was started with the same API key but outside the portal."""
        return self.owner_id is None

    @property
    def is_at_segmind(self) -> bool:
        """Whether its provider is Segmind or an engine: trainers of all others have a path as their id."""
        return "/" not in self.trainer

    @property
    def is_cancelled(self) -> bool:
        return is_cancelled(self.state, self.error)

    @property
    def is_cancelling(self) -> bool:
        return self.cancel_requested_at is not None and self.state in choices.UNTRAINED

    @property
    def training_or_none(self) -> Training | None:
        return getattr(self, "training", None)

    @property
    def can_cancel(self) -> bool:
        """Whether the job still trains and its provider can cancel. Reads the connection."""
        going = self.state in choices.UNTRAINED and self.request_id and self.cancel_requested_at is None
        return bool(going and "cancel" in self.connection.capabilities)

    @property
    def can_download(self) -> bool:
        """Whether the provider has the file, or the portal, whatever the provider says since.

        A model that was deleted here is not asked for.
        """
        if self.model_deleted_at:
            return False
        at_provider = self.state in choices.DOWNLOADABLE and bool(self.cloud_storage_url)
        return at_provider or self.file_kept_at is not None

    @property
    def can_delete_model(self) -> bool:
        """Whether the job has ended with a model that was not deleted yet."""
        has_model = self.state == State.READY or self.file_kept_at is not None
        return self.has_ended and has_model and self.model_deleted_at is None

    @property
    def model_file_name(self) -> str:
        """The name that the download gives the model file: one made of the job's for the portal's copy.

        The provider chose its own when the job was sent.
        """
        if self.file_kept_at:
            return f"{self.name_at_provider}.safetensors"
        return PurePosixPath(unquote(urlsplit(self.cloud_storage_url).path)).name

    @property
    def gpu(self) -> str:
        """The GPU where it is known: a provider's choice, not the hardware of an engine."""
        if self.is_external or not self.is_at_segmind or self.connection.is_engine:
            return ""
        return choices.Machine(self.machine_type).label

    @property
    def is_deleted_at_provider(self) -> bool:
        """Whether its model was deleted here and, now or soon, at its provider. Reads the connection."""
        return self.model_deleted_at is not None and "delete" in self.connection.capabilities

    @property
    def can_change_visibility(self) -> bool:
        """Whether the provider has a model that can be made public or private."""
        if self.is_deleted_at_provider:
            return False
        return bool(self.request_id) and self.state in choices.DOWNLOADABLE and self.is_at_segmind

    @property
    def has_visibility(self) -> bool:
        """Whether there is a model to be public or private, or one may still come."""
        return (self.is_active and self.is_at_segmind) or self.is_public or self.can_change_visibility

    @property
    def can_be_best(self) -> bool:
        """Whether it is a job of a sweep that made a model."""
        return self.sweep is not None and self.state in choices.DOWNLOADABLE

    @property
    def most_inputs(self) -> int:
        """The most input images that a pair has; 1 without a dataset, as only other providers take more."""
        return self.dataset.most_inputs if self.dataset else 1

    @property
    def can_withdraw(self) -> bool:
        return self.state in choices.UNSENT

    @property
    def has_ended(self) -> bool:
        return self.state in choices.ENDED

    @property
    def needs_dataset(self) -> bool:
        """Whether the dataset's file may still have to go to the provider for this job."""
        return self.state in (*choices.UNSENT, *choices.DOUBTFUL)

    @property
    def duration(self) -> timedelta:
        return (self.ended_at or now()) - self.created_at

    @property
    def reached(self) -> str:
        """The state, or for a failed or closed job the last state before that."""
        if self.state not in (State.FAILED, State.CLOSED):
            return self.state
        if self.sent_at is None:
            return State.QUEUED
        return str(self.provider_data.get("reached", State.REQUESTED))


class Training(Leased):
    """Progress that some providers report beyond a job's state, as last fetched (sync/progress.py).

    A curve is a list of [step, loss]. `samples` are the steps whose images are stored (sync/samples.py).
    """

    job = models.OneToOneField(Job, on_delete=models.CASCADE, related_name="training")
    is_over = models.BooleanField(default=False)  # fetched for the last time
    percent = models.FloatField(null=True)
    step = models.PositiveIntegerField(null=True)
    began_at = models.DateTimeField(null=True)  # first seen to train and not to queue (sync/progress.py)
    jobs_ahead = models.PositiveIntegerField(null=True)  # in the provider's queue
    seconds_left = models.FloatField(null=True)
    memory_bytes = models.BigIntegerField(null=True)
    losses = models.JSONField(default=list)
    held_out = models.JSONField(default=list)
    held_out_weighted = models.JSONField(default=list)  # by the noise levels of a sample
    is_held_out_trained = models.BooleanField(default=False)  # too few pairs to hold one out
    samples = models.JSONField(default=list)
    phase = models.CharField(max_length=80, blank=True)  # what is done beside the steps, in words
    log = models.JSONField(default=list)  # the last lines of the trainer's log
    updated_at = models.DateTimeField(default=now, db_index=True)

    class Meta:
        indexes = [
            models.Index(fields=["due_at"], name="training_to_follow", condition=models.Q(is_over=False)),
        ]

    def __str__(self) -> str:
        return f"{self.job_id}: {self.percent} %"

    @property
    def sampled_steps(self) -> list[int]:
        """The steps with a sample of the trained model; step 0 shows the untrained one."""
        return [step for step in self.samples if step]

    @property
    def last_sample(self) -> int | None:
        """The step of the newest sample of the trained model."""
        return max(self.sampled_steps, default=None)
