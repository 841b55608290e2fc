"""What happened to a job: its timeline, and the attempts to submit it."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.timezone import now

from finetune_portal.connections.models import Connection
from finetune_portal.costs.models import Cost
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models.job import Job


class JobEvent(models.Model):
    """An entry of a job's timeline: what happened, when, and by whom or from where it is known."""

    class Source(models.TextChoices):
        PERSON = "person", "Person"
        PORTAL = "portal", "Portal"
        POLL = "poll", "Provider"
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
    """One attempt to submit a job, committed before the request leaves (docs/reliability.md, 1).

    At a provider without a list, `nonce` and `dataset_address` find a job whose answer was lost, by the
    `connection` that sent it: a person may have moved the job to another one since.
    """

    class Outcome(models.TextChoices):
        OPEN = "open", "Open"
        ACCEPTED = "accepted", "Accepted"
        NOT_SENT = "not_sent", "Not sent"
        BUSY = "busy", "Rate limited"
        CLOSED = "closed", "Closed to new jobs"
        REFUSED = "refused", "Refused"
        UNKNOWN = "unknown", "Answer lost"

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="submit_attempts")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, null=True, related_name="+")
    cost = models.ForeignKey(Cost, on_delete=models.SET_NULL, null=True, related_name="+")
    started_at = models.DateTimeField(default=now)
    ended_at = models.DateTimeField(null=True)
    outcome = models.CharField(max_length=10, choices=Outcome.choices, default=Outcome.OPEN)
    status = models.PositiveSmallIntegerField(null=True)
    nonce = models.CharField(max_length=20, blank=True, default="")
    dataset_address = models.CharField(max_length=2000, blank=True, default="")
    detail = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"{self.job_id}: {self.outcome}"

    @property
    def sent_by(self) -> Connection:
        return self.connection or self.job.connection
