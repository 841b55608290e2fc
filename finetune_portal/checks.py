"""Start checks with ids of our own: what an operator should know before anyone trains."""

from __future__ import annotations

import sqlite3
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from finetune_portal.audit.append_only import LEAST_DAYS
from finetune_portal.webhooks.signature import is_usable


@register()
def upstream(**_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if not settings.SEGMIND_API_KEY:
        hint = "Set SEGMIND_API_KEY or SEGMIND_API_KEY_FILE, or unset SEGMIND_BASE_URL."
        found.append(Warning("SEGMIND_BASE_URL is set but no API key.", hint=hint, id="portal.W001"))
    address = urlsplit(settings.SEGMIND_BASE_URL)
    if address.scheme not in {"http", "https"} or not address.hostname:
        found.append(Error("SEGMIND_BASE_URL must be an http(s) address.", id="portal.E001"))
    elif address.scheme == "http" and address.hostname not in {"127.0.0.1", "localhost", "::1"}:
        hint = "The API key would travel unencrypted. Use https."
        found.append(Warning("SEGMIND_BASE_URL is plain http.", hint=hint, id="portal.W002"))
    return found


@register()
def public_address(**_: Any) -> list[CheckMessage]:
    address = urlsplit(settings.PORTAL_URL)
    if address.scheme not in {"http", "https"} or not address.hostname:
        return [Error("PORTAL_URL must be an http(s) address.", id="portal.E002")]
    near = address.hostname in {"127.0.0.1", "localhost", "::1"}
    if address.scheme == "http" and not near and not settings.PLAIN_HTTP:
        hint = "Serve the portal by https, or set PORTAL_PLAIN_HTTP=yes to accept the risk on a LAN."
        return [Error("PORTAL_URL is plain http on a network.", hint=hint, id="portal.E003")]
    return []


@register()
def webhook_secret(**_: Any) -> list[CheckMessage]:
    secret = settings.SEGMIND_WEBHOOK_SECRET
    if secret and not is_usable(secret):
        hint = "After whsec_ comes base64. Copy it whole."
        return [Error("SEGMIND_WEBHOOK_SECRET is not a signing secret.", hint=hint, id="portal.E004")]
    return []


@register()
def audit_retention(**_: Any) -> list[CheckMessage]:
    if 0 < settings.AUDIT_KEEP_DAYS < LEAST_DAYS:
        text = f"AUDIT_KEEP_DAYS must be 0 (for ever) or at least {LEAST_DAYS}."
        return [Error(text, id="portal.E005")]
    return []


@register()
def ways_in(**_: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if not settings.PASSWORD_SIGN_IN and not settings.OIDC_ISSUER:
        hint = "Set OIDC_ISSUER, or leave PORTAL_PASSWORD_SIGN_IN as it is."
        found.append(Error("Nobody can sign in: no passwords and no provider.", hint=hint, id="portal.E006"))
    if settings.OIDC_ISSUER and not (settings.OIDC_CLIENT_ID and settings.OIDC_CLIENT_SECRET):
        hint = "Set OIDC_CLIENT_ID and OIDC_CLIENT_SECRET or OIDC_CLIENT_SECRET_FILE."
        text = "OIDC_ISSUER is set, but not the client that the portal is there."
        found.append(Error(text, hint=hint, id="portal.E007"))
    address = urlsplit(settings.OIDC_ISSUER)
    near = address.hostname in {"127.0.0.1", "localhost", "::1"}
    if settings.OIDC_ISSUER and address.scheme != "https" and not near:
        hint = "Codes and tokens would travel unencrypted. Use https."
        found.append(Error("OIDC_ISSUER is not an https address.", hint=hint, id="portal.E008"))
    return found


@register()
def sqlite_version(**_: Any) -> list[CheckMessage]:
    uses_sqlite = str(settings.DATABASES["default"]["ENGINE"]).endswith("sqlite3")
    if uses_sqlite and sqlite3.sqlite_version_info < (3, 51, 3):
        hint = "Install pysqlite3 (see requirements.txt) or set DATABASE_URL to PostgreSQL."
        text = f"SQLite {sqlite3.sqlite_version} can corrupt a WAL database under concurrent writers."
        return [Warning(text, hint=hint, id="portal.W003")]
    return []
