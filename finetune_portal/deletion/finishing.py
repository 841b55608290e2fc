"""Finish deletions, in the worker: files first, then copies at providers, then what SQLite's log still holds.

Files are deleted a second time after a while, for what another worker was still writing. A copy at a provider
is deleted as soon as that answers; it is tried for good.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.utils.timezone import now

from finetune_portal.connections import rate_limit
from finetune_portal.connections.client import client_for
from finetune_portal.connections.models import Connection
from finetune_portal.deletion import write_ahead_log
from finetune_portal.deletion.models import AtProvider, Deletion
from finetune_portal.providers.errors import CallError, RateLimitedError
from finetune_portal.queue.leases import backoff, claim, held_by, renewing
from finetune_portal.storage import files

LEASE = 30.0  # seconds
AGAIN_AFTER = timedelta(minutes=2)  # longer than a worker writes one file without a look at its row
LOG_PAUSE = timedelta(seconds=5)


def finish_next() -> bool:
    """Go on with one deletion. False if none is due."""
    deletion = claim(Deletion.objects.all(), seconds=LEASE)
    if deletion is None:
        return False
    with renewing(deletion, seconds=LEASE):
        _go_on(deletion)
    return True


def _go_on(deletion: Deletion) -> None:
    files.delete(*(Path(settings.DATA_DIR) / place for place in deletion.places))
    left, error = _delete_at_providers([AtProvider(*each) for each in deletion.at_provider])
    is_late = deletion.created_at < now() - AGAIN_AFTER
    if left:
        due_at = now() + backoff(deletion.attempts)
    else:
        due_at = now() + LOG_PAUSE if is_late else deletion.created_at + AGAIN_AFTER
    places = [] if is_late else deletion.places
    held_by(deletion).update(
        places=places, at_provider=left, error=error[:300], due_at=due_at, lease_expires_at=None
    )
    if write_ahead_log.empty() and not (places or left):
        deletion.delete()


def _delete_at_providers(copies: list[AtProvider]) -> tuple[list[AtProvider], str]:
    """Return what is left, and why."""
    left, error = [], ""
    connections = Connection.objects.in_bulk({each.connection for each in copies})
    for copy in copies:
        connection = connections.get(copy.connection)
        if connection is None:
            continue
        try:
            _delete_copy(connection, copy)
        except CallError as exc:
            left.append(copy)
            error = exc.message
    return left, error


def _delete_copy(connection: Connection, copy: AtProvider) -> None:
    """Delete it, or find that it is gone. Raises CallError."""
    if not rate_limit.take_call(connection, reserve=rate_limit.EXTENSION):
        raise RateLimitedError("The account has no calls left at the moment.")
    with client_for(connection) as client:
        if copy.kind == "job":
            client.extension.delete_job(copy.name)
        else:
            client.extension.delete_file(copy.name)
