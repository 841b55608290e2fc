"""The message at the end of a job, signed by Standard Webhooks."""

from __future__ import annotations

import hmac
import json
import secrets
import time
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.provider.posting import post_once
from tests.replicate import answers
from tests.replicate.ledger import Job

if TYPE_CHECKING:
    from tests.replicate.server import FakeReplicate


@dataclass(frozen=True)
class Delivery:
    """A message that was sent. `status` is the receiver's answer, 0 where none came."""

    job: Job
    headers: Mapping[str, str]
    body: bytes
    status: int


def new_secret() -> str:
    return f"whsec_{b64encode(secrets.token_bytes(24)).decode()}"


def message(fake: FakeReplicate, job: Job) -> tuple[dict[str, str], bytes]:
    """Headers and body of the message about a job: its object."""
    body = json.dumps(fake.with_unknown_fields(answers.job_object(fake, job, job.address))).encode()
    return signed(fake, body), body


def signed(fake: FakeReplicate, body: bytes) -> dict[str, str]:
    """The headers of a message of now, or of as long ago as `webhook_age` says."""
    message_id, at = f"msg_{secrets.token_hex(12)}", str(int(time.time() - fake.webhook_age))
    secret = new_secret() if fake.webhook_is_forged else fake.webhook_secret
    key = b64decode(secret.partition("_")[2])
    digest = hmac.digest(key, f"{message_id}.{at}.".encode() + body, "sha256")
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": at,
        "webhook-signature": f"v1,{b64encode(digest).decode()}",
    }


def deliver(fake: FakeReplicate, job: Job) -> Delivery:
    """Send the message once."""
    headers, body = message(fake, job)
    delivery = Delivery(job, headers, body, post_once(job.webhook, body, headers))
    fake.deliveries.append(delivery)
    return delivery
