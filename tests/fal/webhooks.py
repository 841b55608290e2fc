"""The message at the end of a job: signed with ED25519, its keys in a JWKS."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.fal.ledger import Job
from tests.fal.request import FalRequest
from tests.provider.exchange import Answer, says
from tests.provider.posting import post_once

if TYPE_CHECKING:
    from tests.fal.server import FakeFal

USER = "a-user-of-fal"


@dataclass(frozen=True)
class Delivery:
    """A message that was sent. `status` is the receiver's answer, 0 where none came."""

    job: Job
    headers: Mapping[str, str]
    body: bytes
    status: int


def new_key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def jwks(fal: FakeFal, request: FalRequest) -> Answer:
    return says(200, {"keys": [_jwk(key) for key in fal.webhook_keys]})


def _jwk(key: Ed25519PrivateKey) -> dict[str, Any]:
    public = base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).decode().rstrip("=")
    return {"kty": "OKP", "crv": "Ed25519", "x": public, "use": "sig", "kid": public[:8]}


def message(fal: FakeFal, job: Job) -> tuple[dict[str, str], bytes]:
    """Headers and body of the message about a job that has ended."""
    failed = job.result_status >= 400
    payload = {
        "request_id": job.id,
        "gateway_request_id": job.id,
        "status": "ERROR" if failed else "OK",
        "payload": job.result,
    }
    if failed:
        payload["error"] = f"Invalid status code: {job.result_status}"
    body = json.dumps(fal.with_unknown_fields(payload)).encode()
    return signed(fal, job.id, body), body


def signed(fal: FakeFal, request_id: str, body: bytes) -> dict[str, str]:
    """The headers of a message of now, or of as long ago as `webhook_age` says."""
    at = str(int(time.time() - fal.webhook_age))
    text = "\n".join((request_id, USER, at, hashlib.sha256(body).hexdigest()))
    key = new_key() if fal.webhook_is_forged else fal.webhook_keys[-1]
    return {
        "Content-Type": "application/json",
        "X-Fal-Webhook-Request-Id": request_id,
        "X-Fal-Webhook-User-Id": USER,
        "X-Fal-Webhook-Timestamp": at,
        "X-Fal-Webhook-Signature": key.sign(text.encode()).hex(),
        "X-Fal-Request-Id": str(uuid.uuid4()),
    }


def deliver(fal: FakeFal, job: Job) -> Delivery:
    """Send the message once."""
    headers, body = message(fal, job)
    delivery = Delivery(job, headers, body, post_once(job.webhook, body, headers))
    fal.deliveries.append(delivery)
    return delivery
