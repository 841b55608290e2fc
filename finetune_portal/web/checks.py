"""Start checks: the portal's own address and its database."""

from __future__ import annotations

import re
import sqlite3
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

# The tag of the checks of what an operator sets. Django's own read the code: `up` and CI run those, too.
ENVIRONMENT = "environment"
PLAIN_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")


@register(ENVIRONMENT)
def public_address(**_: Any) -> list[CheckMessage]:
    address = urlsplit(settings.PORTAL_URL)
    if address.scheme not in {"http", "https"} or not address.hostname:
        return [Error("PORTAL_URL must be an http(s) address.", id="portal.E002")]
    if address.query or address.fragment or not PLAIN_PATH.fullmatch(address.path):
        hint = (
            "Its path may have letters, digits and . _ ~ - between slashes, as in https://example.com/portal"
        )
        return [Error("PORTAL_URL has a path that cannot be served.", hint=hint, id="portal.E009")]
    near = address.hostname in {"127.0.0.1", "localhost", "::1"}
    if address.scheme == "http" and not near and not settings.PLAIN_HTTP:
        hint = "Serve the portal by https, or set PORTAL_PLAIN_HTTP=yes to accept the risk on a LAN."
        return [Error("PORTAL_URL is plain http on a network.", hint=hint, id="portal.E003")]
    return []


@register(ENVIRONMENT)
def sqlite_version(**_: Any) -> list[CheckMessage]:
    uses_sqlite = str(settings.DATABASES["default"]["ENGINE"]).endswith("sqlite3")
    if uses_sqlite and sqlite3.sqlite_version_info < (3, 51, 3):
        hint = "Install pysqlite3 (see requirements.txt) or set DATABASE_URL to PostgreSQL."
        text = f"SQLite {sqlite3.sqlite_version} can corrupt a WAL database under concurrent writers."
        return [Warning(text, hint=hint, id="portal.W003")]
    return []
