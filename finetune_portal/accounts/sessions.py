"""Sessions of a person: one row of allauth's UserSession each, updated every few minutes."""

from __future__ import annotations

from datetime import timedelta

from allauth.usersessions.models import UserSession
from axes.models import AccessAttempt
from django.contrib.sessions.models import Session
from django.core.cache import caches
from django.db import DatabaseError
from django.http import HttpRequest
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.web import busy

LAST_SEEN_INTERVAL = 300  # seconds
BATCH = 500
ATTEMPTS_LIFETIME = timedelta(days=1)

BROWSERS = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrome": "Chrome", "Safari": "Safari"}
SYSTEMS = {
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Windows": "Windows",
    "Mac OS": "Mac",
    "Linux": "Linux",
}


def update_last_seen(request: HttpRequest, person: User) -> None:
    """Update when a session was last used, once in five minutes and process: most requests cost no query.

    A busy database leaves it to the next request, so that pages can be read meanwhile.
    """
    key = request.session.session_key
    if not key or not caches["process"].add(f"seen-{key}", 1, LAST_SEEN_INTERVAL):
        return
    try:
        request.session.extend()  # type: ignore[attr-defined]  # our own store
        UserSession.objects.create_from_request(request)
        User.objects.filter(pk=person.pk).update(last_seen_at=now())
    except DatabaseError as exc:
        if not busy.is_busy(exc):
            raise
        caches["process"].delete(f"seen-{key}")


def sessions_of(person: User) -> list[UserSession]:
    """Return the sessions that have not ended, the latest first."""
    rows: list[UserSession] = UserSession.objects.purge_and_list(person)
    for row in rows:
        row.browser = browser_name(row.user_agent)
    return sorted(rows, key=lambda row: row.last_seen_at, reverse=True)


def end_all(person: User, *, but: str | None = None) -> int:
    """End every session of a person, but for the one with the key `but`. Return how many ended."""
    rows = list(UserSession.objects.filter(user=person).exclude(session_key=but or ""))
    for row in rows:
        row.end()
    return len(rows)


def renew(request: HttpRequest) -> None:
    """Give the session a new key after a reauthentication: the old key stops working."""
    before = request.session.session_key
    request.session.cycle_key()
    UserSession.objects.filter(session_key=before).update(session_key=request.session.session_key)


def delete_expired() -> bool:
    """Delete ended sessions and old wrong passwords. Return False when nothing is left."""
    ended = Session.objects.filter(expire_date__lt=now())
    keys = list(ended.values_list("session_key", flat=True)[:BATCH])
    UserSession.objects.filter(session_key__in=keys).delete()
    Session.objects.filter(session_key__in=keys).delete()
    AccessAttempt.objects.filter(attempt_time__lt=now() - ATTEMPTS_LIFETIME).delete()
    return bool(keys)


def browser_name(user_agent: str) -> str:
    """Return a name such as Firefox on Linux. Browsers also name others, so the order of BROWSERS counts."""
    name = next((name for mark, name in BROWSERS.items() if mark in user_agent), "")
    system = next((name for mark, name in SYSTEMS.items() if mark in user_agent), "")
    return " on ".join(filter(None, (name, system))) or "Unknown browser"
