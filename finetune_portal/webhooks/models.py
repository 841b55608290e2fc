"""Where the upstream may knock, and what it brought."""

from __future__ import annotations

from django.db import models
from django.utils.timezone import now


class Hook(models.Model):
    """A secret address. Only the hash of its token is kept; two may be valid while one is replaced."""

    token_hash = models.CharField(max_length=64, unique=True)
    created = models.DateTimeField(default=now)
    expires = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"since {self.created:%Y-%m-%d}"


class Delivery(models.Model):
    """One webhook delivery as it came. A hint to look upstream, never a source of state."""

    received = models.DateTimeField(default=now, db_index=True)
    event = models.CharField(max_length=60, blank=True)
    request_id = models.CharField(max_length=100, blank=True)
    size = models.PositiveIntegerField()
    digested = models.DateTimeField(null=True, db_index=True)
    outcome = models.CharField(max_length=200, blank=True)
    job = models.ForeignKey("jobs.Job", on_delete=models.SET_NULL, null=True)

    def __str__(self) -> str:
        return f"{self.event or 'unknown'} at {self.received:%H:%M:%S}"
