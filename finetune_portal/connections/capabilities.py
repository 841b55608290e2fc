"""What a provider can do beyond the vendor's API: asked seldom, kept in the connection's row."""

from __future__ import annotations

from datetime import timedelta

from django.utils.timezone import now

from finetune_portal.connections import rate_limit
from finetune_portal.connections.client import client_for
from finetune_portal.connections.models import Connection
from finetune_portal.providers.segmind import Capabilities, SegmindError

LOCAL_TTL = timedelta(minutes=1)  # an engine on this machine may restart with another trainer
TTL = timedelta(days=1)


def refresh_next() -> bool:
    """Ask one connection whose capabilities are out of date. The vendor is known to have none."""
    outdated = Connection.objects.in_use().filter(capabilities_due_at__lte=now(), failing_since=None)
    for connection in outdated:
        if connection.is_segmind:
            _store(connection, Capabilities())
        elif rate_limit.take_call(connection, reserve=rate_limit.EXTENSION):
            _fetch(connection)
            return True
    return False


def expire(connection: Connection) -> None:
    """Ask again soon: the provider may be another program than before."""
    Connection.objects.filter(pk=connection.pk).update(capabilities_due_at=now())


def _fetch(connection: Connection) -> None:
    row = Connection.objects.filter(pk=connection.pk, capabilities_due_at=connection.capabilities_due_at)
    if not row.update(capabilities_due_at=now() + LOCAL_TTL):  # another worker asks
        return
    try:
        with client_for(connection) as client:
            _store(connection, client.extension.capabilities())
    except SegmindError:
        return  # what is known stays valid, and is asked again soon


def _store(connection: Connection, known: Capabilities) -> None:
    ttl = LOCAL_TTL if connection.is_local else TTL
    Connection.objects.filter(pk=connection.pk).update(
        capabilities=sorted(known.can), parameters=list(known.parameters), capabilities_due_at=now() + ttl
    )
