"""What an upstream can beyond the vendor's API: asked seldom, kept in the connection's row."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from django.utils.timezone import now

from finetune_portal.connections import rate_limit
from finetune_portal.connections.client import asking
from finetune_portal.connections.models import Connection
from finetune_portal.providers.segmind import SegmindError

SOON = timedelta(minutes=1)  # a neighbour may have been started anew with another trainer
SELDOM = timedelta(days=1)


def ask_next() -> bool:
    """Ask one connection whose answer is old. The vendor is known to have no such abilities."""
    for connection in Connection.objects.in_use().filter(capabilities_due_at__lte=now(), failing_since=None):
        if connection.is_segmind:
            _keep(connection, ())
        elif rate_limit.take(connection, rate_limit.EXTRA):
            _ask(connection)
            return True
    return False


def ask_again(connection: Connection) -> None:
    """It may be another program than before."""
    Connection.objects.filter(pk=connection.pk).update(capabilities_due_at=now())


def _ask(connection: Connection) -> None:
    row = Connection.objects.filter(pk=connection.pk, capabilities_due_at=connection.capabilities_due_at)
    if not row.update(capabilities_due_at=now() + SOON):  # another worker asks
        return
    try:
        with asking(connection) as client:
            _keep(connection, client.extra.abilities())
    except SegmindError:
        return  # what was known holds, and is asked again soon


def _keep(connection: Connection, names: Iterable[str]) -> None:
    pause = SOON if connection.is_local else SELDOM
    Connection.objects.filter(pk=connection.pk).update(
        capabilities=sorted(names), capabilities_due_at=now() + pause
    )
