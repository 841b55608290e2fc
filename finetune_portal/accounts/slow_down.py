"""Slow down guessing at one account from many addresses, and tell its owner (NIST SP 800-63B, 5.2.2).

After FREE_TRIES tries within a day, over all unknown networks, an account takes one try and then pauses. The
pause doubles with each further one. A network is known if the person signed in or set a password from it
within KNOWN_FOR. It does not wait, so nobody locks a person out; `throttle.py` has its own limit.

Tries are counted before the password is looked at, so many at once are no more than one after the other; a
right one makes its network known. E-mails without an account are treated alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import urljoin

from django.conf import settings
from django.core.cache import cache
from django.urls import reverse
from django.utils.timezone import now

from finetune_portal.accounts import emails
from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.audit.services import record
from finetune_portal.web.client_ip import host_of
from finetune_portal.web.shared_cache import count

FREE_TRIES = 20
DAY = timedelta(days=1).total_seconds()
FIRST_PAUSE, LONGEST_PAUSE = 30, 15 * 60  # seconds
KNOWN_FOR = timedelta(days=30)
PROOFS = ("session.began", "account.password")  # what a person did who has the account

EMAIL_TEXT = """Hello,

within a day {tries} wrong passwords were entered for your account of the
Finetune Portal. Before each further try the portal now waits, longer each
time, unless it comes from a network where you signed in within 30 days.

If that was not you, somebody may be guessing your password. You need not do
anything. A second factor protects the account even if they succeed. You can
add one on your profile:

{link}
"""


def may_try(email: str, address: str) -> bool:
    """Whether a password for this e-mail is looked at now. Of several tries after a pause, one is.

    `address` is a counted one, see `throttle.py`.
    """
    if _is_known(email, address) or count(_key("tries", email), seconds=DAY) <= FREE_TRIES:
        return True
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(cache.get(_key("pauses", email), 0), 10))
    if not cache.add(_key("pause", email), now().timestamp() + pause, pause):
        return False
    count(_key("pauses", email), seconds=DAY)
    return True


def note_failure(email: str) -> None:
    """Count a wrong password. The first one that is too many tells the owner, once a day."""
    failures = count(_key("failures", email), seconds=DAY)
    if failures >= FREE_TRIES and cache.add(_key("email", email), 1, DAY):
        _tell_owner(email, failures)


def paused_until(email: str) -> datetime | None:
    end = cache.get(_key("pause", email))
    return datetime.fromtimestamp(end, UTC) if end else None


def paused(addresses: Iterable[str]) -> set[str]:
    """Return those e-mails that take no password from an unknown network at the moment."""
    keys = {_key("pause", email): email for email in addresses}
    return {keys[key] for key in cache.get_many(keys)}


def reset(email: str) -> None:
    cache.delete_many([_key(name, email) for name in ("tries", "failures", "pauses", "pause")])


def _is_known(email: str, address: str) -> bool:
    recent = AuditEvent.objects.filter(actor__email=email, action__in=PROOFS, at__gte=now() - KNOWN_FOR)
    addresses = recent.exclude(address="").order_by().values_list("address", flat=True).distinct()
    return any(host_of(known) == address for known in addresses)


def _tell_owner(email: str, tries: int) -> None:
    person = User.objects.filter(email=email, is_active=True).first()
    if person is None or not person.has_usable_password():
        return
    record(None, "account.slowed", person, tries=tries)
    link = urljoin(settings.PORTAL_URL, reverse("accounts:profile"))
    if not settings.EMAIL_HOST:
        return
    body = EMAIL_TEXT.format(tries=tries, link=link)
    emails.send_in_background(partial(_send, body), email)


def _send(body: str, email: str) -> None:
    emails.send("Wrong passwords for your account", body, to=email)


def _key(name: str, email: str) -> str:
    return f"password-{name}:{hashlib.sha256(email.encode()).hexdigest()}"
