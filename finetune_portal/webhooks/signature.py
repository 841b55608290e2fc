"""Sign and verify deliveries by Standard Webhooks (www.standardwebhooks.com).

The vendor documents no signature; once a secret is set, only signed deliveries are accepted.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from standardwebhooks import Webhook, WebhookVerificationError
from standardwebhooks.webhooks import EmptyWebhookSecretError


def is_right(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a signature matches id, time and body, and the time is within five minutes of ours."""
    try:
        _webhook(secret).verify(body, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError):  # malformed headers or bytes raise ValueError
        return False
    return True


def sign(secret: str, message_id: str, moment: datetime, body: str) -> dict[str, str]:
    """The headers that go with a body."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": _webhook(secret).sign(message_id, moment, body),
    }


def is_usable(secret: str) -> bool:
    try:
        _webhook(secret)
    except (EmptyWebhookSecretError, ValueError):
        return False
    return True


def _webhook(secret: str) -> Webhook:
    """A secret that begins with `whsec_` is base64; any other is used unchanged."""
    return Webhook(secret if secret.startswith("whsec_") else secret.encode())
