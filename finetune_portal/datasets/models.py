"""A dataset, the state of its file here, and its way to the presigned URL."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from math import prod
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import models
from django.utils.timezone import now

from finetune_portal.connections.models import Connection
from finetune_portal.queue.leases import Leased

STALLED = timedelta(minutes=1)
KEPT_UPSTREAM = timedelta(days=7)


class Dataset(Leased):
    """One ZIP of pairs. `received` is what is safely on disk, in bytes; `size` what was announced.

    It came by upload, lies at a public address (`source_url`), or is a new version that the worker makes
    from its `parent` after a `recipe`. `metadata` is what an upload's client told of it (tus 1.0), verbatim.
    """

    class State(models.TextChoices):
        RECEIVING = "receiving", "Uploading"
        MAKING = "making", "Being made"
        CHECKING = "checking", "Checking"
        READY = "ready", "Ready"
        REJECTED = "rejected", "Refused"

    key = models.UUIDField(default=uuid.uuid4, unique=True, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT)
    name = models.CharField(max_length=120)
    filename = models.CharField(max_length=255)
    state = models.CharField(max_length=10, choices=State.choices, default=State.RECEIVING)
    size = models.BigIntegerField()
    received = models.BigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True, db_index=True)
    md5 = models.CharField(max_length=32, blank=True)
    source_url = models.CharField(max_length=2000, blank=True)
    parent = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="versions")
    metadata = models.TextField(blank=True)
    version = models.PositiveIntegerField(default=1)
    recipe = models.JSONField(default=dict)
    verdict = models.JSONField(default=dict)
    pair_count = models.PositiveIntegerField(default=0)
    created = models.DateTimeField(default=now)
    changed = models.DateTimeField(default=now, db_index=True)
    file_gone = models.DateTimeField(null=True)
    deleted = models.DateTimeField(null=True, db_index=True)

    def __str__(self) -> str:
        return self.name

    @property
    def path(self) -> Path:
        """Where the file lies; the name is ours alone, so nothing of the upload's name can reach disk."""
        return Path(settings.DATA_DIR) / "datasets" / f"{self.key}.zip"

    @property
    def previews(self) -> Path:
        return Path(settings.DATA_DIR) / "previews" / str(self.key)

    @property
    def is_whole(self) -> bool:
        return self.received == self.size

    @property
    def expires(self) -> datetime:
        """When an upload that does not go on is cleared away."""
        return self.changed + timedelta(hours=settings.UPLOAD_KEEP_HOURS)

    @property
    def is_rejected(self) -> bool:
        return self.state == self.State.REJECTED

    @property
    def problems(self) -> list[str]:
        return list(self.verdict.get("problems", []))

    @property
    def warnings(self) -> list[str]:
        return list(self.verdict.get("warnings", []))

    @property
    def pairs(self) -> list[dict[str, Any]]:
        """Each with `index`, `start` and `end` (names in the ZIP), their sizes, `caption` (may be empty)."""
        return list(self.verdict.get("pairs", []))

    @property
    def captions(self) -> int:
        return sum(1 for pair in self.pairs if pair["caption"])

    @property
    def is_stored(self) -> bool:
        """Whether an upstream has it. Another connection's may have to get it first."""
        return self.state == self.State.READY and (bool(self.source_url) or any(self._arrived))

    @property
    def is_here(self) -> bool:
        """Whether the portal itself has the file: to look into, to change, to hand over again."""
        whole = self.state in (self.State.CHECKING, self.State.READY, self.State.REJECTED)
        return whole and not self.source_url and self.file_gone is None

    @property
    def facts(self) -> dict[str, int]:
        """Counted by the check: `files`, `pairs`, `captions`, `bytes`, `unpacked`."""
        return dict(self.verdict.get("facts", {}))

    @property
    def picture_sizes(self) -> list[tuple[int, int]]:
        """The smallest and the largest picture, in pixels; one if alike, none where none was opened."""
        halves = (pair.get(half) for pair in self.pairs for half in ("start_size", "end_size"))
        sizes = sorted({(size[0], size[1]) for size in halves if size and all(size)}, key=prod)
        return list(dict.fromkeys((sizes[0], sizes[-1]))) if sizes else []

    @property
    def repairs(self) -> list[dict[str, str]]:
        """Harmless repairs that the check offers, each with `code` and `sentence`."""
        return list(self.verdict.get("repairs", []))

    @property
    def may_be_lost_upstream(self) -> bool:
        return any(trip.is_old for trip in self._arrived)

    def s3_url_at(self, connection: Connection) -> str:
        """What to send as `data_source_path`; empty while the upstream does not have it."""
        arrived = (trip.s3_url for trip in self._arrived if trip.connection_id == connection.pk)
        return self.source_url or next(arrived, "")

    @property
    def _arrived(self) -> list[Carry]:
        return [trip for trip in self.carries.all() if trip.done]

    @property
    def trip(self) -> Carry | None:
        """The one on its way to an upstream, or the last."""
        return max(self.carries.all(), key=lambda trip: (trip.done is None, trip.pk), default=None)

    @property
    def is_stalled(self) -> bool:
        """An upload from which nothing came for a minute: the tab was closed, or the connection is gone."""
        return self.state == self.State.RECEIVING and self.changed < now() - STALLED

    @property
    def is_settled(self) -> bool:
        """Nothing will change by itself any more."""
        return self.is_rejected or self.is_stored

    @property
    def moved(self) -> int:
        """The bytes that came and those that went on; the second leg may begin while the first still runs."""
        return self.received + (self.trip.sent if self.trip else 0)

    @property
    def to_move(self) -> int:
        return 2 * self.size

    @property
    def leg(self) -> tuple[str, int]:
        """What the one progress bar says, and how full it is, in percent over both legs."""
        if self.is_rejected:
            return "Refused", 100
        if self.is_stored:
            return "Ready to train", 100
        told = {
            self.State.RECEIVING: "Uploading to the portal",
            self.State.MAKING: "Making the new version",
            self.State.CHECKING: "Checking the pictures",
        }
        percent = 100 * self.moved // max(1, self.to_move)
        return told.get(self.State(self.state), "Handing over to the trainer"), min(percent, 99)


class Carry(Leased):
    """The trip of a dataset's file to a presigned URL of one connection (docs/provider-api.md, 4)."""

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="carries")
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="carries")
    sent = models.BigIntegerField(default=0)
    s3_url = models.CharField(max_length=2000, blank=True)
    etag = models.CharField(max_length=100, blank=True)
    done = models.DateTimeField(null=True)
    error = models.CharField(max_length=500, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["dataset", "connection"], name="one_trip_to_a_connection")
        ]

    def __str__(self) -> str:
        return f"{self.dataset_id}: {self.sent} bytes"

    @property
    def is_old(self) -> bool:
        """Handed over so long ago that the vendor may have cleaned it away; it says nothing of how long."""
        return self.done is not None and self.done < now() - KEPT_UPSTREAM
