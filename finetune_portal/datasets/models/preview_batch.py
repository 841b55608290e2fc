"""Previews that were asked for and are not made yet."""

from __future__ import annotations

from django.db import models

from finetune_portal.queue.leases import Leased


class PreviewBatch(Leased):
    """Previews that the worker makes of one file: of some pairs of a dataset, or of one other picture.

    `key` is the path of the first preview, so that the same ones are queued once. Each of `pictures` is a
    member of `source`, or nothing if that is no ZIP, and the path of its preview. All paths are below
    DATA_DIR. The row is deleted when all are made.
    """

    key = models.CharField(max_length=200, unique=True)
    source = models.CharField(max_length=200)
    edge = models.PositiveIntegerField()  # pixels, at most, wide and high
    pictures = models.JSONField()

    def __str__(self) -> str:
        return f"{self.key} and {len(self.pictures) - 1} more"
