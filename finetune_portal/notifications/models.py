"""The channels that notifications go to, each notification on its way, and what the bell lists."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils.timezone import now

from finetune_portal.connections.models import Connection
from finetune_portal.costs.models import Budget
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.queue.leases import Leased


class Event(models.TextChoices):
    READY = "ready", "Ready"
    FAILED = "failed", "Failed"
    DECISION = "decision", "Needs a decision"
    APPROVAL = "approval", "Approvals"
    APPROVED = "approved", "Approved"
    DECLINED = "declined", "Declined"
    TEST = "test", "Test"
    CONFIRM = "confirm", "Confirmation of an address"


# A channel switches these on and off; approvals with their outcomes are one switch.
SUBSCRIBABLE = (Event.READY, Event.FAILED, Event.DECISION, Event.APPROVAL)
OUTCOMES = (Event.APPROVED, Event.DECLINED)


class Channel(models.Model):
    """A person's own, for the jobs they start; without an owner the team’s, for all jobs.

    The address may hold a token: it is stored encrypted, and pages show only `display_address`.
    """

    class Kind(models.TextChoices):
        EMAIL = "email", "E-mail"
        APPRISE = "apprise", "Apprise"

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    label = models.CharField(max_length=60, blank=True)
    display_address = models.CharField(max_length=300)
    encrypted_address = models.TextField()
    confirmed_at = models.DateTimeField(null=True, default=now)  # None: only a link may be sent there
    confirmation_hash = models.CharField(max_length=64, blank=True, db_index=True)
    confirmation_expires_at = models.DateTimeField(null=True)
    is_subscribed_to_ready = models.BooleanField(default=True)
    is_subscribed_to_failed = models.BooleanField(default=True)
    is_subscribed_to_decision = models.BooleanField(default=True)
    is_subscribed_to_approval = models.BooleanField(default=True)
    subscribed_at = models.DateTimeField(default=now)  # earlier events are not sent
    last_delivered_at = models.DateTimeField(null=True)
    last_failed_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return self.label or self.display_address

    @property
    def is_team_channel(self) -> bool:
        return self.owner_id is None

    def is_subscribed(self, event: str) -> bool:
        switch = Event.APPROVAL.value if event in OUTCOMES else event
        return event in (Event.TEST, Event.CONFIRM) or bool(getattr(self, f"is_subscribed_to_{switch}"))

    @property
    def switches(self) -> list[tuple[Event, bool]]:
        return [(event, self.is_subscribed(event)) for event in SUBSCRIBABLE]


class Notification(Leased):
    """One message to one channel. An event of a job has one row per channel, so it is sent once."""

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="notifications")
    job = models.ForeignKey(Job, on_delete=models.CASCADE, null=True, related_name="notifications")
    event = models.CharField(max_length=10, choices=Event.choices)
    finished_at = models.DateTimeField(null=True)  # delivered, or given up with an `error`
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "channel", "event"], name="one_notification_an_event"),
        ]
        indexes = [models.Index(fields=["finished_at", "due_at"])]

    def __str__(self) -> str:
        return f"{self.event} to channel {self.channel_id}"


# Events whose sentence is in the present tense while the job is in a state, and those words afterwards.
PAST_TENSE: dict[str, tuple[State, str]] = {
    "ready": (State.READY, "became ready"),
    "decision": (State.NEEDS_DECISION, "needed a decision"),
    "approval": (State.APPROVAL, "waited for an approval"),
}


class HistoryEntry(models.Model):
    """One notification to one person, which the bell lists: what happened to a job, connection or budget.

    It holds no name, as its sentence is made when it is read, and it is deleted with what it is about.
    """

    class Event(models.TextChoices):
        READY = "ready", "is ready"
        FAILED = "failed", "failed"
        REFUSED = "refused", "was refused"
        CANCELLED = "cancelled", "was cancelled"
        DECISION = "decision", "needs a decision"
        APPROVAL = "approval", "waits for an approval"
        APPROVED = "approved", "was approved"
        DECLINED = "declined", "was declined"
        CLOSED = "closed", "was closed to new jobs"
        OVER_BUDGET = "budget", "went over its monthly budget"

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="history")
    event = models.CharField(max_length=10, choices=Event.choices)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, null=True, related_name="+")
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, null=True, related_name="+")
    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, null=True, related_name="+")
    created_at = models.DateTimeField(default=now, db_index=True)
    read_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["person", "-id"], name="history_of_a_person"),
            models.Index(fields=["person"], name="unread_history", condition=models.Q(read_at=None)),
        ]

    def __str__(self) -> str:
        return f"“{self.name}” {self.text}"

    def get_absolute_url(self) -> str:
        if self.job:
            return self.job.get_absolute_url()
        return reverse("costs:budgets" if self.budget else "connections:list")

    @property
    def name(self) -> str:
        return self.budget.title if self.budget else str(self.job or self.connection)

    @property
    def text(self) -> str:
        """What happened to it, in the words that follow its name."""
        if self.job and self.event in PAST_TENSE:
            state, past = PAST_TENSE[self.event]
            if self.job.state != state or self.job.model_deleted_at:
                return past
        return self.Event(self.event).label
