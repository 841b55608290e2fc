"""Where someone is signed in: one row of allauth's UserSession for each session, seen every few minutes."""

from __future__ import annotations

from datetime import timedelta

from allauth.usersessions.models import UserSession
from axes.models import AccessAttempt
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.http import HttpRequest
from django.utils.timezone import now

from finetune_portal.accounts.models import User

SEEN_EVERY = 300  # seconds
BATCH = 500
TRIES_LIFE = timedelta(days=1)

BROWSERS = {"Edg": "Edge", "OPR": "Opera", "Firefox": "Firefox", "Chrome": "Chrome", "Safari": "Safari"}
SYSTEMS = {
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Windows": "Windows",
    "Mac OS": "Mac",
    "Linux": "Linux",
}


def note_seen(request: HttpRequest, person: User) -> None:
    """Asks the database once in five minutes and process; in between a look into memory is all."""
    key = request.session.session_key
    if key and cache.add(f"seen-{key}", 1, SEEN_EVERY):
        request.session.keep_awake()  # type: ignore[attr-defined]  # our own store
        UserSession.objects.create_from_request(request)
        User.objects.filter(pk=person.pk).update(seen=now())


def of(person: User) -> list[UserSession]:
    """The living ones, the latest first."""
    rows: list[UserSession] = UserSession.objects.purge_and_list(person)
    for row in rows:
        row.browser = browser(row.user_agent)
    return sorted(rows, key=lambda row: row.last_seen_at, reverse=True)


def end_all(person: User, *, but: str | None = None) -> int:
    """End every session of a person, or all but the one with that key; how many there were."""
    rows = list(UserSession.objects.filter(user=person).exclude(session_key=but or ""))
    for row in rows:
        row.end()
    return len(rows)


def renew(request: HttpRequest) -> None:
    """Another key for this session, once its person proved who they are: whoever had the old one is out."""
    before = request.session.session_key
    request.session.cycle_key()
    UserSession.objects.filter(session_key=before).update(session_key=request.session.session_key)


def forget_old() -> bool:
    """Delete sessions that have ended, and wrong passwords that count no more. False: nothing is left."""
    ended = Session.objects.filter(expire_date__lt=now())
    keys = list(ended.values_list("session_key", flat=True)[:BATCH])
    UserSession.objects.filter(session_key__in=keys).delete()
    Session.objects.filter(session_key__in=keys).delete()
    AccessAttempt.objects.filter(attempt_time__lt=now() - TRIES_LIFE).delete()
    return bool(keys)


def browser(user_agent: str) -> str:
    """As a person says it: Firefox on Linux. Each names the ones before it too, so the order counts."""
    name = next((name for mark, name in BROWSERS.items() if mark in user_agent), "")
    system = next((name for mark, name in SYSTEMS.items() if mark in user_agent), "")
    return " on ".join(filter(None, (name, system))) or "A browser that does not tell its name"
