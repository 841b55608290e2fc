"""Whether the admin key of a connection is refused: noted, tried again every ten minutes, and cleared.

While it is refused no job asks for its bill: the poll tries the key by one call for all of them. It tries
each new key that was set on the settings page, too.
"""

from __future__ import annotations

from datetime import timedelta

from django.utils.timezone import now

from finetune_portal.connections.models import Connection
from finetune_portal.providers.errors import AdminKeyRejectedError

INTERVAL = timedelta(minutes=10)


def note_refused(connection: Connection, exc: AdminKeyRejectedError) -> None:
    fields = {"admin_key_failure": exc.message[:500], "admin_key_due_at": now() + INTERVAL}
    Connection.objects.filter(pk=connection.pk).update(**fields, updated_at=now())


def note_accepted(connection: Connection) -> None:
    """Clear the refusal, if there was one."""
    fields = {"admin_key_failure": "", "admin_key_due_at": None}
    doubtful = Connection.objects.filter(pk=connection.pk, admin_key_due_at__isnull=False)
    doubtful.update(**fields, updated_at=now())


def take_try(connection: Connection) -> bool:
    """Take the try that is due. Of several callers one gets it."""
    due = Connection.objects.filter(pk=connection.pk, admin_key_due_at__lte=now())
    return bool(due.update(admin_key_due_at=now() + INTERVAL))
