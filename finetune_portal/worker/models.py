"""The sign of life that /readyz reads."""

from __future__ import annotations

from django.db import models
from django.utils.timezone import now


class Heartbeat(models.Model):
    """One row a lane: when it last went round."""

    lane = models.CharField(max_length=20, unique=True)
    at = models.DateTimeField(default=now)

    def __str__(self) -> str:
        return f"{self.lane} at {self.at:%H:%M:%S}"
