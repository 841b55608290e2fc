"""Rows as the queue: when a row is next due and who works on it. A killed holder loses nothing."""

from __future__ import annotations

import logging
import random
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

from django.db import DatabaseError, connections, models, transaction
from django.db.models import Q, QuerySet
from django.utils.timezone import now

log = logging.getLogger(__name__)
MAX_BACKOFF = 600.0


class Leased(models.Model):
    """A row that a worker picks up when it is due and no one else holds it."""

    due_at = models.DateTimeField(default=now, db_index=True)
    lease = models.UUIDField(null=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, editable=False)
    attempts = models.PositiveIntegerField(default=0)

    class Meta:
        abstract = True

    @property
    def is_free(self) -> bool:
        """Held by nobody, or by a holder whose time is over."""
        return self.lease_expires_at is None or self.lease_expires_at < now()


R = TypeVar("R", bound=Leased)


def unleased() -> Q:
    """`is_free`, for a query."""
    return Q(lease_expires_at=None) | Q(lease_expires_at__lt=now())


def claimable(rows: QuerySet[R]) -> QuerySet[R]:
    return rows.filter(unleased(), due_at__lte=now())


def claim(rows: QuerySet[R], *, seconds: float) -> R | None:
    """Take the most overdue row for so many seconds, or None. Two callers never get the same one.

    SQLite lets one write after the other, so a look comes first; on PostgreSQL each goes on to the next row.
    """
    if not claimable(rows).exists():
        return None
    with transaction.atomic():
        row = claimable(rows).select_for_update(skip_locked=True, of=("self",)).order_by("due_at").first()
        if row is None:
            return None
        row.lease, row.lease_expires_at = uuid.uuid4(), now() + timedelta(seconds=seconds)
        row.attempts += 1
        row.save(update_fields=["lease", "lease_expires_at", "attempts"])
    return row


def held_by(row: R) -> QuerySet[R]:
    """The row as long as this holder still has it: what a late holder writes matches nothing."""
    return type(row)._default_manager.filter(pk=row.pk, lease=row.lease)


def renew(row: Leased, *, seconds: float) -> bool:
    return bool(held_by(row).update(lease_expires_at=now() + timedelta(seconds=seconds)))


def jitter(seconds: float) -> timedelta:
    """A fifth more or less, so that what began together does not stay together."""
    return timedelta(seconds=seconds * random.uniform(0.8, 1.2))  # nosec B311  # no secret


@contextmanager
def renewing(row: Leased, *, seconds: float) -> Iterator[None]:
    """Renew the lease while a step takes its time. So it can be short: a killed holder is soon followed."""
    over = threading.Event()

    def renew_on() -> None:
        while not over.wait(seconds / 3):
            try:
                renew(row, seconds=seconds)
            except DatabaseError:  # busy just now; there is time for another try
                log.warning("The lease of %s %s could not be renewed", type(row).__name__, row.pk)
        connections.close_all()

    thread = threading.Thread(target=renew_on, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def backoff(attempts: int, *, first: float = 2.0) -> timedelta:
    """Full jitter: somewhere between next to nothing and the doubled pause, never over ten minutes."""
    ceiling = min(MAX_BACKOFF, first * 2 ** min(attempts, 12))
    return timedelta(seconds=random.uniform(first / 2, ceiling))  # nosec B311  # no secret
