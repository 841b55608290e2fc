"""One row for each deed: who, what, on which thing, with which details. Never changed."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils.timezone import now


class AuditEvent(models.Model):
    at = models.DateTimeField(default=now, db_index=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True)
    action = models.CharField(max_length=60)
    thing = models.CharField(max_length=120)
    detail = models.JSONField(default=dict)

    def __str__(self) -> str:
        return f"{self.action} {self.thing}"
