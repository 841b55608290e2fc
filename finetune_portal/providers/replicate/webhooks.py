"""Verify Replicate's messages by the secret of the account (docs/provider-replicate.md, 5)."""

from __future__ import annotations

import binascii
import hashlib
import hmac
from base64 import b64decode
from collections.abc import Iterator, Mapping
from datetime import datetime

from finetune_portal.providers.contract import WebhookEvent
from finetune_portal.providers.errors import SignatureError
from finetune_portal.providers.http.json_body import missing
from finetune_portal.providers.http.signing_keys import TOLERANCE, SigningKeys
from finetune_portal.providers.http.values import mapping, number, text
from finetune_portal.providers.replicate.client import Client
from finetune_portal.providers.replicate.results import MAX_ID

SECONDS = 10.0  # for the answer with the secret
HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
PREFIX, VERSION = "whsec_", "v1,"
NOT_SIGNED = "This message is not signed by Replicate."
NO_JOB = "This message of Replicate names no job."
NOT_RECENT = "This message of Replicate was signed too long ago, or the clock of this machine is wrong."
SECRETS: SigningKeys[bytes] = SigningKeys()  # by address and account


def verify(client: Client, headers: Mapping[str, str], body: bytes, received_at: datetime) -> WebhookEvent:
    """Raise SignatureError for a message that is not Replicate's, or was not signed when it came.

    Raises another CallError where the secret cannot be had now.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    message_id, signed_at, signature = (lower.get(name, "") for name in HEADERS)
    signatures = list(_signatures(signature))
    if not message_id or not signatures:
        raise SignatureError(NOT_SIGNED)
    if abs(received_at.timestamp() - (number(signed_at) or 0.0)) > TOLERANCE:
        raise SignatureError(NOT_RECENT)
    signed = f"{message_id}.{signed_at}.".encode("utf-8", "replace") + body

    def has_signed(secret: bytes) -> bool:
        digest = hmac.digest(secret, signed, "sha256")
        return any(hmac.compare_digest(each, digest) for each in signatures)

    account = hashlib.sha256(f"{client.api} {client.key}".encode("utf-8", "replace")).hexdigest()
    if not SECRETS.any_signed(account, lambda: _fetched(client), has_signed, received_at):
        raise SignatureError(NOT_SIGNED)
    payload = mapping(body.decode("utf-8", "replace"))
    if not 0 < len(text(payload.get("id"))) <= MAX_ID:
        raise SignatureError(NO_JOB)
    return WebhookEvent(text(payload.get("id")), text(payload.get("status")))


def _signatures(header: str) -> Iterator[bytes]:
    for each in header.split():
        if each.startswith(VERSION) and (signature := _decoded(each.removeprefix(VERSION))):
            yield signature


def _fetched(client: Client) -> tuple[bytes, ...]:
    answer = client.call("GET", f"{client.api}/webhooks/default/secret", seconds=SECONDS)
    secret = _decoded(text(answer.json().get("key")).removeprefix(PREFIX))
    if not secret:
        raise missing("a key")
    return (secret,)


def _decoded(words: str) -> bytes:
    """The bytes of a base64 text; none of everything else."""
    try:
        return b64decode(words, validate=True)
    except (binascii.Error, ValueError):
        return b""
