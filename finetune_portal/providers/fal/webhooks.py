"""Verify fal's messages: ED25519 over headers and body, with published keys (docs/provider-fal.md, 5)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import requests
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from finetune_portal.providers.contract import WebhookEvent
from finetune_portal.providers.errors import SignatureError
from finetune_portal.providers.fal.client import Client
from finetune_portal.providers.fal.errors import error_for
from finetune_portal.providers.fal.handles import MAX_ID
from finetune_portal.providers.http.json_body import missing
from finetune_portal.providers.http.session import Session
from finetune_portal.providers.http.signing_keys import TOLERANCE, SigningKeys
from finetune_portal.providers.http.values import mapping, number, text

SECONDS = 10.0  # for the answer with the keys
MOST_KEYS = 20  # of which each is tried for a signature that none explains
SIGNED = tuple(f"x-fal-webhook-{name}" for name in ("request-id", "user-id", "timestamp"))
SIGNATURE = "x-fal-webhook-signature"
HEADERS = (*SIGNED, SIGNATURE)
NOT_SIGNED = "This message is not signed by fal."
NOT_RECENT = "This message of fal was signed too long ago, or the clock of this machine is wrong."
KEYS: SigningKeys[Ed25519PublicKey] = SigningKeys()  # by the address of fal


def verify(client: Client, headers: Mapping[str, str], body: bytes, received_at: datetime) -> WebhookEvent:
    """Raise SignatureError for a message that is not fal's, or was not signed when it came.

    Raises another CallError where the keys cannot be had now.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    signed = [lower.get(name, "") for name in SIGNED]
    text_signed = "\n".join([*signed, hashlib.sha256(body).hexdigest()]).encode("utf-8", "replace")
    try:
        signature = bytes.fromhex(lower.get(SIGNATURE, ""))
    except ValueError:
        signature = b""
    if not all(signed) or not signature:
        raise SignatureError(NOT_SIGNED)
    if abs(received_at.timestamp() - (number(signed[2]) or 0.0)) > TOLERANCE:
        raise SignatureError(NOT_RECENT)
    if not KEYS.any_signed(
        client.rest, lambda: _fetched(client), lambda key: _is_by(key, signature, text_signed), received_at
    ):
        raise SignatureError(NOT_SIGNED)
    payload = mapping(body.decode("utf-8", "replace"))
    if text(payload.get("request_id")) != signed[0] or len(signed[0]) > MAX_ID:
        raise SignatureError(NOT_SIGNED)
    return WebhookEvent(signed[0], text(payload.get("status")))


def _is_by(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _fetched(client: Client) -> tuple[Ed25519PublicKey, ...]:
    """The keys as fal publishes them, asked without ours."""
    with Session() as session:
        request = requests.Request("GET", f"{client.rest}/.well-known/jwks.json")
        answer = client.exchange(session, request, SECONDS)
    if not answer.is_ok:
        raise error_for(answer, client.keys)
    rows = answer.json().get("keys")
    keys = tuple(key for row in (rows[:MOST_KEYS] if isinstance(rows, list) else ()) if (key := _key(row)))
    if not keys:
        raise missing("a key")
    return keys


def _key(row: Any) -> Ed25519PublicKey | None:
    """An OKP key; None for every other one."""
    fields = mapping(row)
    x = text(fields.get("x"))
    try:
        return Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(x + "=" * (-len(x) % 4)))
    except ValueError:
        return None
