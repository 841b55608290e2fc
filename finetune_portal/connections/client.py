"""The client of a connection: the only module that decrypts its key and calls a provider with it."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from django.utils.timezone import now

from finetune_portal.connections import rate_limit
from finetune_portal.connections.models import Connection
from finetune_portal.providers.segmind import (
    RateLimitedError,
    SegmindClient,
    SegmindError,
    UnauthorizedError,
)
from finetune_portal.web.encryption import KeyLostError, decrypt

KEY_LOST = (
    "The API key of “{name}” cannot be decrypted: the encryption key has changed since. "
    "An admin sets the API key again on the settings page."
)
KEY_MISSING = "No API key is set for “{name}”. An admin sets it on the settings page."
NO_CALLS_LEFT = "The account has no calls left at the moment. Try again in {seconds} s."

_local = threading.local()


@contextmanager
def client_for(connection: Connection) -> Iterator[SegmindClient]:
    """Give the client for one call, and learn from its answer how many calls are left.

    Raises UnauthorizedError before anything is sent if there is no key, or none that can be decrypted.
    """
    client = _cached_client(connection)
    try:
        yield client
    except RateLimitedError as exc:
        rate_limit.note_rate_limited(connection, client.last_headers, exc.retry_after)
        raise
    except SegmindError as exc:
        if exc.status is not None:
            rate_limit.update_from_headers(connection, client.last_headers)
        raise
    rate_limit.update_from_headers(connection, client.last_headers)


@contextmanager
def client_for_user_action(connection: Connection) -> Iterator[SegmindClient]:
    """Like `client_for`, for an action that somebody waits for: it may take the last call.

    Raises RateLimitedError if that is gone, too.
    """
    if not rate_limit.take_call(connection, reserve=rate_limit.USER):
        wait = (rate_limit.available_at(connection) - now()).total_seconds()
        raise RateLimitedError(NO_CALLS_LEFT.format(seconds=math.ceil(max(1.0, wait))))
    with client_for(connection) as client:
        yield client


def _cached_client(connection: Connection) -> SegmindClient:
    """One client for each thread and connection: threads do not share sockets."""
    clients: dict[int, tuple[tuple[str, str], SegmindClient]] = _local.__dict__.setdefault("clients", {})
    credentials = (connection.address, _key_of(connection))
    cached = clients.get(connection.pk)
    if cached is None or cached[0] != credentials:
        cached = clients[connection.pk] = (credentials, SegmindClient(*credentials))
    return cached[1]


def _key_of(connection: Connection) -> str:
    if connection.key_from_settings:
        return connection.key_from_settings
    if not connection.encrypted_key:
        raise UnauthorizedError(KEY_MISSING.format(name=connection.name))
    try:
        return decrypt(connection.encrypted_key)
    except KeyLostError:
        raise UnauthorizedError(KEY_LOST.format(name=connection.name)) from None
