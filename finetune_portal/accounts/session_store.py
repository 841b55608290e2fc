"""Database sessions that end when idle, and at a maximum age after the sign-in.

Both limits are in the row's `expire_date`, so they hold for pages, uploads and streams alike. The cookie
holds a random token and the row's key is a hash of it: no row or backup lets its reader sign in.
"""

from __future__ import annotations

import hashlib
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.utils.timezone import now

SIGNED_IN_AT = "began"  # key in a session: seconds since 1970
# By key, of the request that is answered: allauth opens a new store for a session that it saves, by its key.
_tokens: ContextVar[dict[str, str]] = ContextVar("session_tokens")
KEY_LENGTH = 40  # of Django's column, in hex digits: 160 bits


def key_of(token: str) -> str:
    """Return the session key under which the session of this cookie is stored."""
    return hashlib.sha256(token.encode()).hexdigest()[:KEY_LENGTH]


def open_cookie(token: str) -> SessionStore:
    """Return the session of a cookie, a new one for an unknown or empty token, and note its token."""
    _tokens.set({key_of(token): token})
    return SessionStore(key_of(token) if token else None)


def token_of(session: SessionStore) -> str:
    """Return what the cookie of a session holds, if it was opened or made since `open_cookie`."""
    return _tokens.get({})[session.session_key or ""]


class SessionStore(db.SessionStore):
    def _get_new_session_key(self) -> str:
        token = super()._get_new_session_key()  # type: ignore[misc]  # the stubs lack it
        key = key_of(token)
        _tokens.get({})[key] = token
        return key

    def get_expiry_date(self, **kwargs: Any) -> datetime:
        """Return the earlier of the two ends. The cookie may live longer, but is useless then."""
        began = datetime.fromtimestamp(self.get(SIGNED_IN_AT, now().timestamp()), UTC)
        return min(
            now() + timedelta(seconds=settings.SESSION_IDLE_SECONDS),
            began + timedelta(seconds=settings.SESSION_COOKIE_AGE),
        )

    def extend(self) -> None:
        """Move the end of an idle session. Writes only `expire_date`: other requests may write the rest."""
        rows = Session.objects.filter(session_key=self.session_key)
        rows.update(expire_date=self.get_expiry_date())
