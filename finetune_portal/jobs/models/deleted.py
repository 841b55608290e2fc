"""The ids of deleted jobs."""

from __future__ import annotations

from django.db import models
from django.utils.timezone import now

from finetune_portal.connections.models import Connection


class DeletedJob(models.Model):
    """What a deleted job was called at its provider by id, so that no list brings it back.

    It names no content. Open tables learn by it that a row has gone.
    """

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="+")
    request_id = models.CharField(max_length=100, blank=True, db_index=True)
    nonce = models.CharField(max_length=8, db_index=True)
    deleted_at = models.DateTimeField(default=now, db_index=True)

    def __str__(self) -> str:
        return self.request_id or self.nonce
