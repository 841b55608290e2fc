"""Heartbeats of the worker, which /readyz and /metrics read."""

from __future__ import annotations

from django.db import models
from django.utils.timezone import now


class Heartbeat(models.Model):
    """When a periodic task last went round. One row a task."""

    task = models.CharField(max_length=20, unique=True)
    beat_at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"{self.task} at {self.beat_at:%H:%M:%S}"
