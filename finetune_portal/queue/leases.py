"""Leased rows: the database as the queue. A row knows when it is due and who works on it until when."""

from __future__ import annotations

import logging
import random
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

from django.apps import apps
from django.db import DatabaseError, connections, models, transaction
from django.db.models import Q, QuerySet
from django.utils.timezone import now

log = logging.getLogger(__name__)
MAX_BACKOFF = 600.0


class Leased(models.Model):
    """A row that a worker takes when it is due and nobody holds it.

    A holder that is killed loses nothing: its lease expires, and the next worker takes the row.
    """

    due_at = models.DateTimeField(default=now, db_index=True)
    lease = models.UUIDField(null=True, editable=False)
    lease_expires_at = models.DateTimeField(null=True, editable=False)
    attempts = models.PositiveIntegerField(default=0)

    class Meta:
        abstract = True

    @property
    def is_unleased(self) -> bool:
        """Whether nobody holds the row: there is no lease, or it has expired."""
        return self.lease_expires_at is None or self.lease_expires_at < now()


R = TypeVar("R", bound=Leased)


def unleased() -> Q:
    """Return the condition `is_unleased` for a query."""
    return Q(lease_expires_at=None) | Q(lease_expires_at__lt=now())


def claimable(rows: QuerySet[R]) -> QuerySet[R]:
    return rows.filter(unleased(), due_at__lte=now())


def claim(rows: QuerySet[R], *, seconds: float) -> R | None:
    """Lease the most overdue row for so many seconds; None if there is none. No two callers get the same row.

    SQLite serializes writers, so a read comes first; on PostgreSQL each caller skips rows locked by others.
    """
    if not claimable(rows).exists():
        return None
    with transaction.atomic():
        row = (
            claimable(rows).select_for_update(skip_locked=True, of=("self",)).order_by("due_at", "pk").first()
        )
        if row is None:
            return None
        row.lease, row.lease_expires_at = uuid.uuid4(), now() + timedelta(seconds=seconds)
        row.attempts += 1
        row.save(update_fields=["lease", "lease_expires_at", "attempts"])
    return row


def held_by(row: R) -> QuerySet[R]:
    """Return the row as a query that matches only while this holder has the lease.

    So an update by a holder that comes too late changes nothing.
    """
    return type(row)._default_manager.filter(pk=row.pk, lease=row.lease)


def renew(row: Leased, *, seconds: float) -> bool:
    return bool(held_by(row).update(lease_expires_at=now() + timedelta(seconds=seconds)))


def release_all() -> None:
    """Release every leased row, where no holder can be alive: in a database that was just restored."""
    for model in apps.get_models():
        if issubclass(model, Leased):
            model._default_manager.update(lease=None, lease_expires_at=None)


def jitter(seconds: float) -> timedelta:
    """Return a duration up to a fifth longer or shorter, so that rows do not stay in step."""
    return timedelta(seconds=seconds * random.uniform(0.8, 1.2))  # nosec B311  # no secret


@contextmanager
def renewing(row: Leased, *, seconds: float) -> Iterator[None]:
    """Renew the lease during the block. So leases can be short, and a killed holder is soon replaced."""
    over = threading.Event()

    def keep_renewing() -> None:
        while not over.wait(seconds / 3):
            try:
                renew(row, seconds=seconds)
            except DatabaseError:  # the database is busy; there is time for another try
                log.warning("The lease of %s %s could not be renewed", type(row).__name__, row.pk)
        connections.close_all()

    thread = threading.Thread(target=keep_renewing, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def backoff(attempts: int, *, first: float = 2.0) -> timedelta:
    """Return an exponential backoff with full jitter, at most MAX_BACKOFF seconds."""
    ceiling = min(MAX_BACKOFF, first * 2 ** min(attempts, 12))
    return timedelta(seconds=random.uniform(first / 2, ceiling))  # nosec B311  # no secret
