"""A training job, its timeline, and the tries to send it."""

from __future__ import annotations

import secrets
import uuid
from datetime import timedelta

from django.conf import settings
from django.db import models
from django.utils.timezone import now

from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs import choices
from finetune_portal.jobs.choices import State
from finetune_portal.queue.leases import Leased

GROUPED = [
    (key, (label, [str(state) for state in states])) for key, (label, states) in choices.GROUPS.items()
]
NONCE_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"


def new_nonce() -> str:
    return "".join(secrets.choice(NONCE_ALPHABET) for _ in range(8))


class Job(Leased):
    """One paid training. `state` is where it stands, `upstream_status` the upstream's own last word."""

    name = models.CharField(max_length=80)
    nonce = models.CharField(max_length=8, default=new_nonce, unique=True, editable=False)
    form_key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True)
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, null=True, related_name="jobs")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="jobs")
    instance_prompt = models.TextField("instruction prompt", max_length=1000, blank=True)
    learning_rate = models.FloatField(null=True)
    steps = models.PositiveIntegerField(null=True)
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
    provider_status = models.CharField(max_length=100, blank=True)
    last_listed_as = models.CharField(max_length=110, blank=True)  # what the list said of it the last time
    is_public = models.BooleanField(default=False)
    slug = models.CharField(max_length=200, blank=True)
    cloud_storage_url = models.CharField(max_length=2000, blank=True)
    is_simulated = models.BooleanField(default=False)
    provider_data = models.JSONField(default=dict)

    cancel_requested_at = models.DateTimeField(null=True)  # a person wants the training to end
    credits_before = models.FloatField(null=True)  # the account's balance as it was sent
    credits_after = models.FloatField(null=True)  # and once it had ended
    file_check_requested_at = models.DateTimeField(
        null=True
    )  # somebody waits for the check of the trained file
    file_sha256 = models.CharField(max_length=64, blank=True)
    file_size = models.BigIntegerField(null=True)
    file_error = models.CharField(max_length=300, blank=True)

    group = models.GeneratedField(
        expression=models.Case(
            *[models.When(state__in=states, then=models.Value(key)) for key, (_, states) in GROUPED],
            default=models.Value(""),
        ),
        output_field=models.CharField(max_length=10),
        db_persist=True,
    )
    sweep = models.UUIDField(null=True, editable=False, db_index=True)
    note = models.TextField(blank=True, max_length=4000)
    tags = models.CharField(max_length=200, blank=True)
    archived_at = models.DateTimeField(null=True, db_index=True)

    class Meta:
        indexes = [
            models.Index(fields=["archived_at", "-id"]),
            models.Index(fields=["archived_at", "group", "-id"]),
            models.Index(fields=["owner", "-id"]),
            models.Index(fields=["dataset", "-id"]),
            models.Index(fields=["owner", "archived_at", "group", "-id"], name="jobs_of_a_person"),
            models.Index(fields=["dataset", "archived_at", "group", "-id"], name="jobs_of_a_dataset"),
            models.Index(
                fields=["archived_at", "-id", "group"], name="public_jobs", condition=models.Q(is_public=True)
            ),
            models.Index(
                fields=["-id", "group"], name="archived_jobs", condition=models.Q(archived_at__isnull=False)
            ),
            models.Index(fields=["archived_at", "name", "id"]),
            models.Index(fields=["archived_at", "updated_at", "id"]),
            models.Index(fields=["state", "-id"]),
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

    def __str__(self) -> str:
        return self.name

    @property
    def name_at_provider(self) -> str:
        """The name sent with the job; the nonce in it finds the job again when an answer is lost."""
        return f"{self.name}-{self.nonce}"

    @property
    def is_active(self) -> bool:
        return self.state in choices.ACTIVE

    @property
    def is_outside(self) -> bool:
        """Made with the same key but not through the portal."""
        return self.owner_id is None

    @property
    def status_text(self) -> str:
        """The state in words; a state that nobody knows yet is shown as the upstream says it."""
        if self.is_cancelled:
            return "Cancelled"
        if self.is_cancelling:
            return "Cancelling…"
        if self.state == State.RUNNING and self.provider_status:
            return self.provider_status.replace("_", " ").capitalize()
        return State(self.state).label

    @property
    def is_cancelled(self) -> bool:
        """It failed because somebody wanted it to; the engine says so by this word."""
        return self.state == State.FAILED and self.error.strip(".").lower() == "cancelled"

    @property
    def is_cancelling(self) -> bool:
        return self.cancel_requested_at is not None and self.state in choices.UNTRAINED

    @property
    def told_training(self) -> Training | None:
        """What the engine tells of the training, while it lasts. Asks for it."""
        lasts = self.state in (State.TRAINING, State.RUNNING)
        return getattr(self, "training", None) if lasts else None

    @property
    def percent(self) -> float | None:
        """Of the training, where the engine tells and it does not wait for its turn."""
        told = self.told_training
        return told.percent if told and not told.jobs_ahead else None

    @property
    def trained_model(self) -> str:
        """What is trained, in words, where the engine tells."""
        told = self.provider_data.get("model_information")
        told = told if isinstance(told, dict) else {}
        if self.is_simulated:
            return "The local engine simulates: nothing is learnt."
        if told.get("tiny_model") is True:
            return "Model: the tiny one, a toy to see a training work."
        name = told.get("base_model")
        return f"Model: {name[:100]}" if name and isinstance(name, str) else ""

    @property
    def can_cancel(self) -> bool:
        """Asks for the connection."""
        going = self.state in choices.UNTRAINED and self.request_id and self.cancel_requested_at is None
        return bool(going and "cancel" in self.connection.can)

    @property
    def can_download(self) -> bool:
        return self.state in choices.DOWNLOADABLE and bool(self.cloud_storage_url)

    @property
    def cost(self) -> float | None:
        """An estimate: whatever else the account paid in between is in it."""
        if self.credits_before is None or self.credits_after is None:
            return None
        return self.credits_before - self.credits_after

    @property
    def can_switch(self) -> bool:
        """Only a model that exists upstream can be public or private."""
        return bool(self.request_id) and self.state in choices.DOWNLOADABLE

    @property
    def can_withdraw(self) -> bool:
        return self.state in choices.UNSENT

    @property
    def needs_dataset(self) -> bool:
        """Whether the dataset's file may still have to be sent for this job."""
        return self.state in (*choices.UNSENT, *choices.DOUBTFUL)

    @property
    def duration(self) -> timedelta:
        return (self.ended_at or now()) - self.created_at

    @property
    def station(self) -> int:
        """Its place on the progress line, from 0: where it is, or was before it ended."""
        return choices.STATION_OF_STATE.get(State(self.reached), 0)

    @property
    def progress(self) -> float:
        """How much of the progress line it has come to, up to 1."""
        told = self.told_training
        here = (told.percent or 0) / 100 if told else 1
        return round((self.station + here) / len(choices.STATIONS), 3)

    @property
    def reached(self) -> str:
        """The last state before a failure, else the state itself."""
        if self.state not in (State.FAILED, State.CLOSED):
            return self.state
        if self.sent_at is None:
            return State.QUEUED
        return str(self.provider_data.get("reached", State.REQUESTED))


class Training(Leased):
    """What an engine tells of a training beyond its state, as the worker last heard it (progress.py).

    A curve is a list of [step, loss]. `samples` are the steps whose pictures are here (samples.py).
    """

    job = models.OneToOneField(Job, on_delete=models.CASCADE, related_name="training")
    is_over = models.BooleanField(default=False)  # nothing more will be told
    percent = models.FloatField(null=True)
    step = models.PositiveIntegerField(null=True)
    jobs_ahead = models.PositiveIntegerField(null=True)  # trainings that must end before it begins
    seconds_left = models.FloatField(null=True)
    memory_bytes = models.BigIntegerField(null=True)
    losses = models.JSONField(default=list)
    held_out = models.JSONField(default=list)
    is_held_out_trained = models.BooleanField(default=False)  # there were too few pairs to keep one back
    samples = models.JSONField(default=list)
    updated_at = models.DateTimeField(default=now, db_index=True)

    class Meta:
        indexes = [
            models.Index(fields=["due_at"], name="training_to_follow", condition=models.Q(is_over=False)),
        ]

    def __str__(self) -> str:
        return f"{self.job_id}: {self.percent} %"

    @property
    def left(self) -> timedelta | None:
        """Until the last step, as roughly as it is known: to 5 seconds, to a minute from 10 minutes on."""
        if self.seconds_left is None:
            return None
        grain = 5 if self.seconds_left < 600 else 60
        return timedelta(seconds=max(grain, round(self.seconds_left / grain) * grain))

    @property
    def drawn(self) -> list[int]:
        """The steps after which the model, no longer untrained, drew a sample."""
        return [step for step in self.samples if step]


class Limits(models.Model):
    """The one row of limits on money (limits.py). Empty is no limit."""

    per_person_day = models.PositiveIntegerField("trainings a person may start a day", null=True)
    per_team_month = models.PositiveIntegerField("trainings the team may start a month", null=True)
    only_admins_publish = models.BooleanField("only admins make models public", default=False)

    def __str__(self) -> str:
        return f"{self.per_person_day} a day, {self.per_team_month} a month"


class SavedView(models.Model):
    """A filter of the table that a person keeps: its name and its query string."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    name = models.CharField(max_length=40)
    query = models.CharField(max_length=500)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["owner", "name"], name="one_view_of_a_name")]

    def __str__(self) -> str:
        return self.name


class Preset(models.Model):
    """A learning rate and a number of steps that the team likes."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    name = models.CharField(max_length=40, unique=True)
    learning_rate = models.FloatField()
    steps = models.PositiveIntegerField()
    note = models.CharField(max_length=80, blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class JobEvent(models.Model):
    """A line of the timeline: what happened, when, and who says so."""

    class Source(models.TextChoices):
        PERSON = "person", "Person"
        PORTAL = "portal", "Portal"
        POLL = "poll", "Poll"
        WEBHOOK = "webhook", "Webhook"

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="events")
    created_at = models.DateTimeField(default=now)
    source = models.CharField(max_length=10, choices=Source.choices)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True)
    state = models.CharField(max_length=15, choices=State.choices, blank=True)
    text = models.CharField(max_length=500)
    detail = models.TextField(blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.text


class Attempt(models.Model):
    """One try to send a job. The row is there before the socket opens (docs/reliability.md, 1)."""

    class Outcome(models.TextChoices):
        OPEN = "open", "Not known"
        ACCEPTED = "accepted", "Accepted"
        NOT_SENT = "not_sent", "Never left"
        BUSY = "busy", "Told to wait"
        REFUSED = "refused", "Refused"
        UNKNOWN = "unknown", "Answer lost"

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="submit_attempts")
    started_at = models.DateTimeField(default=now)
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=10, choices=Outcome.choices, default=Outcome.OPEN)
    status = models.PositiveSmallIntegerField(null=True)
    detail = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"{self.job_id}: {self.outcome}"
