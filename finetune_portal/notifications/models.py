"""Where news of trainings goes, and each piece of news on its way there."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.timezone import now

from finetune_portal.jobs.models import Job
from finetune_portal.queue.leases import Leased


class Event(models.TextChoices):
    READY = "ready", "Ready"
    FAILED = "failed", "Failed"
    DECISION = "decision", "Needs a decision"
    TEST = "test", "Test"


CHOSEN = (Event.READY, Event.FAILED, Event.DECISION)  # the ones that a channel switches on and off


class Channel(models.Model):
    """A person's own, for the trainings they started; without an owner the team's, for all trainings.

    The address may hold a token: it is kept sealed, and `shown` is all of it that a page may tell.
    """

    class Kind(models.TextChoices):
        EMAIL = "email", "E-mail"
        APPRISE = "apprise", "Apprise"

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True)
    kind = models.CharField(max_length=10, choices=Kind.choices)
    label = models.CharField(max_length=60, blank=True)
    shown = models.CharField(max_length=300)
    sealed = models.TextField()
    on_ready = models.BooleanField(default=True)
    on_failed = models.BooleanField(default=True)
    on_decision = models.BooleanField(default=True)
    since = models.DateTimeField(default=now)  # what happened before is no news to it
    last_ok = models.DateTimeField(null=True)
    last_failed = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=300, blank=True)

    def __str__(self) -> str:
        return self.label or self.shown

    @property
    def is_the_teams(self) -> bool:
        return self.owner_id is None

    def wants(self, event: str) -> bool:
        return event == Event.TEST or bool(getattr(self, f"on_{event}"))

    @property
    def switches(self) -> list[tuple[Event, bool]]:
        return [(event, self.wants(event)) for event in CHOSEN]


class Notice(Leased):
    """One message to one channel. The same event of a job makes no second row, so no second message."""

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="notices")
    job = models.ForeignKey(Job, on_delete=models.CASCADE, null=True, related_name="notices")
    event = models.CharField(max_length=10, choices=Event.choices)
    done = models.DateTimeField(null=True)  # delivered, or given up with the `error`
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "channel", "event"], name="one_notice_an_event"),
        ]
        indexes = [models.Index(fields=["done", "due_at"])]

    def __str__(self) -> str:
        return f"{self.event} to channel {self.channel_id}"
