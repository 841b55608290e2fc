"""The client of a connection: the only module that decrypts its keys and calls a provider with them."""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from django.conf import settings
from django.utils.timezone import now

from finetune_portal.connections import rate_limit
from finetune_portal.connections.models import SEGMIND, Connection
from finetune_portal.providers.contract import Account, Adapter
from finetune_portal.providers.errors import (
    InvalidResponseError,
    RateLimitedError,
    UnauthorizedError,
)
from finetune_portal.providers.registry import PROVIDERS
from finetune_portal.providers.segmind import Capabilities, SegmindAdapter, SegmindClient
from finetune_portal.web import outbound
from finetune_portal.web.encryption import KeyLostError, decrypt

KEY_LOST = (
    "The API key of “{name}” cannot be decrypted: the encryption key has changed since. "
    "An admin sets the API key again on the settings page."
)
KEY_MISSING = "No API key is set for “{name}”. An admin sets it on the settings page."
PRIVATE_ADDRESS = (
    "The provider named an address inside a private network for a file, so nothing was sent there. "
    "An operator can allow it: PORTAL_OUTBOUND_NETWORKS."
)
NO_CALLS_LEFT = "The account has no calls left at the moment. Try again in {seconds} s."

_local = threading.local()


@contextmanager
def adapter_for(connection: Connection) -> Iterator[Adapter]:
    """Give the adapter of an account, and learn from its answers how many calls are left.

    Raises UnauthorizedError before anything is sent if there is no key, or none that can be decrypted.
    """
    if connection.provider == SEGMIND:
        client = _cached_client(connection)
        account = Account({"api": connection.address}, _key_of(connection))
        known = Capabilities(frozenset(connection.capabilities), tuple(connection.parameters or ()))
        with _limits_noted(connection, client):
            yield SegmindAdapter(account, known=known, client=client)
        return
    addresses = settings.PROVIDER_ADDRESSES[connection.provider]
    account = Account(addresses, _key_of(connection), _admin_key_of(connection))
    adapter: Adapter = PROVIDERS[connection.provider].make_adapter(account, dial=_dial)
    try:
        yield adapter
    except RateLimitedError as exc:
        rate_limit.note_rate_limited(connection, {}, exc.retry_after)
        raise
    rate_limit.update_from_headers(connection, {})


@contextmanager
def client_for(connection: Connection) -> Iterator[SegmindClient]:
    """Give the client of Segmind's API, for what the contract of adapters lacks. Raises as `adapter_for`."""
    client = _cached_client(connection)
    with _limits_noted(connection, client):
        yield client


@contextmanager
def adapter_for_user_action(connection: Connection) -> Iterator[Adapter]:
    """Like `adapter_for`, for an action that somebody waits for: it may take the last call.

    Raises RateLimitedError if that is gone, too.
    """
    _take_last_call(connection)
    with adapter_for(connection) as adapter:
        yield adapter


@contextmanager
def adapter_for_question(connection: Connection) -> Iterator[Adapter]:
    """Like `adapter_for`, for what a page asks by itself: it leaves the last calls to acts of people.

    Raises RateLimitedError where no more than these are left.
    """
    if not rate_limit.take_call_for_question(connection):
        raise _no_calls_left(connection)
    with adapter_for(connection) as adapter:
        yield adapter


@contextmanager
def _limits_noted(connection: Connection, client: SegmindClient) -> Iterator[None]:
    """Note the limit of each answer as it comes: an upload in between may take longer than it is good for."""
    client.call_with_headers(partial(rate_limit.update_from_headers, connection))
    try:
        yield
    except RateLimitedError as exc:
        rate_limit.note_rate_limited(connection, client.last_headers, exc.retry_after)
        raise


def _take_last_call(connection: Connection) -> None:
    if not rate_limit.take_call(connection, reserve=rate_limit.USER):
        raise _no_calls_left(connection)


def _no_calls_left(connection: Connection) -> RateLimitedError:
    wait = (rate_limit.available_at(connection) - now()).total_seconds()
    return RateLimitedError(NO_CALLS_LEFT.format(seconds=math.ceil(max(1.0, wait))))


def _cached_client(connection: Connection) -> SegmindClient:
    """One client for each thread and connection: threads do not share sockets."""
    clients: dict[int, tuple[tuple[str, str], SegmindClient]] = _local.__dict__.setdefault("clients", {})
    credentials = (connection.address, _key_of(connection))
    cached = clients.get(connection.pk)
    if cached is None or cached[0] != credentials:
        client = SegmindClient(*credentials, dial=_dial)
        cached = clients[connection.pk] = (credentials, client)
    return cached[1]


def _dial(host: str, port: int) -> socket.socket:
    """Connect to a host that a provider's answer names for a file, by the guard of typed addresses."""
    try:
        return outbound.dial(host, port)
    except outbound.HostNotFoundError as exc:
        raise socket.gaierror(str(exc)) from None
    except outbound.ForbiddenAddressError:
        raise InvalidResponseError(PRIVATE_ADDRESS) from None


def _key_of(connection: Connection) -> str:
    if connection.key_from_settings:
        return connection.key_from_settings
    if not connection.encrypted_key:
        raise UnauthorizedError(KEY_MISSING.format(name=connection.name))
    try:
        return decrypt(connection.encrypted_key)
    except KeyLostError:
        raise UnauthorizedError(KEY_LOST.format(name=connection.name)) from None


def _admin_key_of(connection: Connection) -> str:
    """Empty where it cannot be decrypted: jobs go on without it, and the settings page says so."""
    if not connection.is_own or not connection.encrypted_admin_key:
        return connection.admin_key_from_settings
    try:
        return decrypt(connection.encrypted_admin_key)
    except KeyLostError:
        return ""
