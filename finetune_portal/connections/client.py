"""The way to an upstream: the client of a connection, which is the one place where its key is opened."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.utils.timezone import now

from finetune_portal.connections import rate_limit
from finetune_portal.connections.models import Connection
from finetune_portal.providers.segmind import RateLimitedError, SegmindClient, SegmindError, UnauthorizedError
from finetune_portal.web.encryption import KeyLostError, decrypt

LOST = (
    "The API key of “{name}” cannot be opened: the sealing key is not the one it was sealed with. "
    "An admin sets the API key again on the settings page."
)
MISSING = "No API key is set for “{name}”. An admin sets it on the settings page."

USED_UP = "The account's calls are used up for the moment. Try again in {seconds} s."

_local = threading.local()


@contextmanager
def asking(connection: Connection) -> Iterator[SegmindClient]:
    """Around one call: the client, and learning from its answer what calls are left.

    Raises UnauthorizedError before anything is sent if there is no key, or none that can be decrypted.
    """
    client = client_of(connection)
    try:
        yield client
    except RateLimitedError as exc:
        rate_limit.note_busy(connection, client.last_headers, exc.retry_after)
        raise
    except SegmindError as exc:
        if exc.status is not None:
            rate_limit.learn(connection, client.last_headers)
        raise
    rate_limit.learn(connection, client.last_headers)


@contextmanager
def asking_for_a_person(connection: Connection) -> Iterator[SegmindClient]:
    """Like `asking`, for what somebody waits for. The last call is left for them; else RateLimitedError."""
    if not rate_limit.take(connection, rate_limit.PERSON):
        wait = (rate_limit.opens(connection) - now()).total_seconds()
        raise RateLimitedError(USED_UP.format(seconds=math.ceil(max(1.0, wait))))
    with asking(connection) as client:
        yield client


def client_of(connection: Connection) -> SegmindClient:
    """One client a thread and connection: its sockets are not shared."""
    clients: dict[int, tuple[tuple[str, str], SegmindClient]] = _local.__dict__.setdefault("clients", {})
    wanted = (connection.address, _key_of(connection))
    known = clients.get(connection.pk)
    if known is None or known[0] != wanted:
        known = clients[connection.pk] = (wanted, SegmindClient(*wanted))
    return known[1]


def _key_of(connection: Connection) -> str:
    if connection.key_from_settings:
        return connection.key_from_settings
    if not connection.encrypted_key:
        raise UnauthorizedError(MISSING.format(name=connection.name))
    try:
        return decrypt(connection.encrypted_key)
    except KeyLostError:
        raise UnauthorizedError(LOST.format(name=connection.name)) from None
