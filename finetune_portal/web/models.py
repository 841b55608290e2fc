"""The table behind `shared_cache.py`."""

from __future__ import annotations

from django.db import models


class CacheEntry(models.Model):
    """A value until `expires_at`, as JSON text: of a whole number, digits, so the database can add to it."""

    key = models.CharField(max_length=250, primary_key=True)
    value = models.TextField()
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.key
