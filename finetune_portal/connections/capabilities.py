"""What a provider can do beyond the basic calls, and its trainers: asked seldom, kept with the connection."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils.timezone import now

from finetune_portal.connections import rate_limit, trainers
from finetune_portal.connections.client import adapter_for, client_for
from finetune_portal.connections.models import Connection
from finetune_portal.providers.errors import CallError
from finetune_portal.providers.segmind import Capabilities

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
        if connection.speaks_segmind:
            with client_for(connection) as client:
                known = client.extension.capabilities()
        else:
            with adapter_for(connection) as adapter:
                trainers.store(connection, adapter.trainers())
                known = Capabilities(frozenset(adapter.capabilities))
    except CallError:
        return  # what is known stays valid, and is asked again soon
    _store(connection, known)


def _store(connection: Connection, known: Capabilities) -> None:
    ttl = LOCAL_TTL if connection.is_local else TTL
    fields: dict[str, Any] = {"trainers": list(known.trainers)} if connection.speaks_segmind else {}
    Connection.objects.filter(pk=connection.pk).update(
        capabilities=sorted(known.can),
        parameters=list(known.parameters),
        capabilities_due_at=now() + ttl,
        **fields,
    )
