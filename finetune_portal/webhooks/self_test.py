"""Post a sample to the portal's own public address, as the vendor does, and store the result.

The worker does it with a token for this one test, as only the hash of the real token is stored. The test
shows that name, certificate and proxy lead to the portal, but not whether the vendor's servers may pass.
"""

from __future__ import annotations

import json
import secrets
import time
from urllib.parse import urljoin, urlsplit

from django.conf import settings
from django.db import transaction
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.queue.leases import claim, held_by
from finetune_portal.web import outbound
from finetune_portal.webhooks.models import SelfTest
from finetune_portal.webhooks.services import receive_path, sha256_of
from finetune_portal.webhooks.signature import sign

SECONDS = 10.0
LEASE = 60.0

HINTS = {
    400: "The portal does not know this name. Does the proxy keep the Host header?",
    401: "The signature was not accepted. Does the web process have the same SEGMIND_WEBHOOK_SECRET?",
    403: "Something in front of the portal asks for a sign-in. Let /hooks/ through without one.",
    404: "Something answers there, but not the portal. Does the proxy forward /hooks/?",
    502: "The proxy answers but does not reach the portal.",
    503: "The proxy answers but does not reach the portal.",
    504: "The proxy answers but does not reach the portal.",
}
REDIRECT = "It is a redirect, which senders need not follow. Is PORTAL_URL the final address?"
OTHER = "The portal itself answers 200, so something in front of it sent this."


def start(*, actor: User) -> SelfTest:
    """Let the worker run a test. Only the last one is stored."""
    with transaction.atomic():
        SelfTest.objects.all().delete()
        test = SelfTest.objects.create()
        record(actor, "webhook.test", test)
    return test


def run_next() -> bool:
    test = claim(SelfTest.objects.filter(finished_at=None), seconds=LEASE)
    if test is None:
        return False
    token = secrets.token_urlsafe(32)
    held_by(test).update(token_hash=sha256_of(token))
    began = time.monotonic()
    try:
        is_private, error = _post(urljoin(settings.PORTAL_URL, receive_path(token))), ""
    except _SelfTestError as exc:
        is_private, error = False, str(exc)
    seconds = time.monotonic() - began
    if not error and not held_by(test).filter(arrived_at__isnull=False).exists():
        error = (
            "Something answered 200, but the sample did not arrive here. Does PORTAL_URL lead to this portal?"
        )
    held_by(test).update(
        finished_at=now(), seconds=seconds, error=error, is_private=is_private, lease_expires_at=None
    )
    return True


class _SelfTestError(Exception):
    """The sample did not come back; the text is for people."""


def _post(url: str) -> bool:
    """Post the sample. True where the name led to a private address. Raises _SelfTestError."""
    body = json.dumps({"type": "portal.self-test"})
    headers = {"Content-Type": "application/json", "User-Agent": "finetune-portal-self-test"}
    if secret := settings.SEGMIND_WEBHOOK_SECRET:
        headers |= sign(secret, secrets.token_hex(8), now(), body)
    try:
        status, is_private = outbound.post_to_own_address(url, body, headers, seconds=SECONDS)
    except outbound.UnreachableError as exc:
        raise _SelfTestError(str(exc)) from None
    if status != 200:
        hint = REDIRECT if 300 <= status < 400 else HINTS.get(status, OTHER)
        raise _SelfTestError(f"{urlsplit(url).hostname} answered {status}. {hint}")
    return is_private
