"""Providers that take no new jobs: since when and why, and the tries that find out when one takes them again.

After a refusal the worker sends one waiting job every few minutes, with growing pauses. An accepted job
opens the connection again. So one stray refusal costs minutes, and no job is lost.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import transaction
from django.db.models import F, Q
from django.dispatch import Signal
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.connections.models import Connection
from finetune_portal.providers.contract import Report
from finetune_portal.providers.segmind import availability
from finetune_portal.web.errors import ActionError

FIRST_PAUSE, MAX_PAUSE = timedelta(minutes=5), timedelta(hours=1)
MAX_DOUBLINGS = 8
ANSWER_WITHIN = timedelta(minutes=4)  # of a try; longer than the lease of a job that is being sent
NO_REASON = "The provider takes no new jobs."
closed = Signal()  # of a `connection`, in the transaction that notes its first refusal


def note_closed(connection: Connection, reason: str) -> None:
    """Note a refusal: the first one begins the pauses, each refused try makes them longer."""
    row = Connection.objects.filter(pk=connection.pk)
    fields = {"closed_reason": reason[:600], "updated_at": now()}
    begins = {"is_training_closed": True, "closed_at": now(), "probes": 0, "probe_at": now() + FIRST_PAUSE}
    with transaction.atomic():
        is_first = bool(row.filter(is_training_closed=False).update(**fields, **begins))
        if is_first:
            closed.send(Connection, connection=connection)
    if not is_first:
        probes = row.values_list("probes", flat=True).get()
        pause = min(MAX_PAUSE, FIRST_PAUSE * 2 ** min(probes, MAX_DOUBLINGS))
        row.update(**fields, probe_at=now() + pause)


def note_open(connection: Connection) -> bool:
    """Note that the provider took a job. True if it was closed before."""
    fields = {"is_training_closed": False, "closed_at": None, "closed_reason": "", "probes": 0}
    closed = Connection.objects.filter(pk=connection.pk, is_training_closed=True)
    return bool(closed.update(**fields, probe_at=None, updated_at=now()))


def take_probe(connection: Connection) -> bool:
    """Take the try that is due at a closed connection. Of several callers one gets it."""
    due = Connection.objects.filter(Q(probe_at=None) | Q(probe_at__lte=now()), pk=connection.pk)
    return bool(
        due.filter(is_training_closed=True).update(probe_at=now() + ANSWER_WITHIN, probes=F("probes") + 1)
    )


def probe_now(connection: Connection, *, actor: User | None = None) -> None:
    """Make the next try due: an admin asked for it, or something changed."""
    closed = Connection.objects.filter(pk=connection.pk, is_training_closed=True)
    if not closed.update(probe_at=now(), updated_at=now()):
        if actor:
            raise ActionError("This connection is not closed to new jobs.")
    elif actor:
        record(actor, "connection.try", connection, name=connection.name)


def report_of(connection: Connection) -> Report | None:
    """What third parties say of the provider; nothing of other addresses, such as the engine's."""
    return availability.REPORT if connection.is_segmind else None


def refusal(connection: Connection) -> str:
    """Why a job cannot be started at a closed connection, and when the portal tries again."""
    reason = connection.closed_reason or NO_REASON
    wait = connection.next_probe_at
    minutes = max(1, round((wait - now()).total_seconds() / 60)) if wait else 1
    again = f"The portal tries again in about {minutes} minute{'' if minutes == 1 else 's'}."
    return f"“{connection}” is closed to new jobs. {reason} {again}"
