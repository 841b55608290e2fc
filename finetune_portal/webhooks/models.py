"""The endpoints that a provider posts to, its deliveries, and the self-test that posts like a provider."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.utils.timezone import now

from finetune_portal.queue.leases import Leased

LATE_AFTER = timedelta(seconds=15)


class Endpoint(models.Model):
    """A secret URL. Only the hash of its token is stored; two may be valid while one replaces the other."""

    token_hash = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(default=now)
    expires_at = models.DateTimeField(null=True)
    is_local_engine = models.BooleanField(default=False)  # never rotated
    last_unsigned_at = models.DateTimeField(null=True)  # the last request without the right signature

    def __str__(self) -> str:
        return f"since {self.created_at:%Y-%m-%d}"


class Delivery(models.Model):
    """One webhook delivery as it was received. A hint to ask the provider, never a source of state."""

    class Result(models.TextChoices):
        WAITING = "waiting", "Waiting"
        LOOKED_UP = "looked_up", "Looked up"
        LISTED = "listed", "No job named"
        NOT_ASKED = "not_asked", "Not asked"
        SIGNED = "signed", "Signed"
        UNSIGNED = "unsigned", "Not signed"

    received_at = models.DateTimeField(default=now, db_index=True)
    event = models.CharField(max_length=60, blank=True)
    request_id = models.CharField(max_length=100, blank=True)
    message_hash = models.CharField(max_length=64, null=True, unique=True)  # noqa: DJ001 - unique
    size = models.PositiveIntegerField()
    processed_at = models.DateTimeField(null=True, db_index=True)
    result = models.CharField(max_length=10, choices=Result.choices, default=Result.WAITING)
    outcome = models.CharField(max_length=200, blank=True)
    job = models.ForeignKey("jobs.Job", on_delete=models.SET_NULL, null=True)

    class Meta:
        indexes = [
            models.Index(fields=["result", "-id"]),
            models.Index(fields=["event", "-id"]),
            models.Index(fields=["request_id", "-id"]),
        ]

    def __str__(self) -> str:
        return f"{self.event or 'unknown'} at {self.received_at:%H:%M:%S}"


class Message(Leased):
    """What was posted to the address of an attempt, until its signature is verified."""

    delivery = models.OneToOneField(Delivery, on_delete=models.CASCADE)
    attempt = models.ForeignKey("jobs.Attempt", on_delete=models.CASCADE)
    headers = models.JSONField()  # those that the signature needs
    body = models.BinaryField()

    def __str__(self) -> str:
        return f"{self.attempt} at {self.delivery}"


class SelfTest(Leased):
    """One request to the portal's own public address, with a token that works once."""

    created_at = models.DateTimeField(default=now)
    token_hash = models.CharField(max_length=64, blank=True, db_index=True)
    arrived_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    seconds = models.FloatField(default=0)
    error = models.CharField(max_length=300, blank=True)
    is_private = models.BooleanField(default=False)  # the name resolved to a private IP address

    def __str__(self) -> str:
        return self.error or "back" if self.finished_at else "on its way"

    @property
    def is_late(self) -> bool:
        return self.finished_at is None and self.created_at < now() - LATE_AFTER
