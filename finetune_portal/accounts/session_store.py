"""Database sessions that end when idle, and at a maximum age after the sign-in.

Both limits are in the row's `expire_date`, so they hold for pages, uploads and streams alike.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.utils.timezone import now

SIGNED_IN_AT = "began"  # key in a session: seconds since 1970


class SessionStore(db.SessionStore):
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
