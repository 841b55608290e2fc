"""Django's sessions in the database, with two ends: nobody used it for a while, and long after the sign-in.

Both are in the row's `expire_date`, so whoever opens a session is held to them: pages, uploads, streams.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.utils.timezone import now

BEGAN = "began"  # in a session: when its person signed in, in seconds since 1970


class SessionStore(db.SessionStore):
    def get_expiry_date(self, **kwargs: Any) -> datetime:
        """The cookie may live longer; it opens nothing then."""
        began = datetime.fromtimestamp(self.get(BEGAN, now().timestamp()), UTC)
        return min(
            now() + timedelta(seconds=settings.SESSION_IDLE_SECONDS),
            began + timedelta(seconds=settings.SESSION_COOKIE_AGE),
        )

    def keep_awake(self) -> None:
        """Its person did something. The rest of the row is left as it is: another request may be at it."""
        rows = Session.objects.filter(session_key=self.session_key)
        rows.update(expire_date=self.get_expiry_date())
