"""Start checks: the built-in connection has an address and a key."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from finetune_portal.web.checks import ENVIRONMENT

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


@register(ENVIRONMENT)
def built_in_connection(**_: Any) -> list[CheckMessage]:
    messages: list[CheckMessage] = []
    if not settings.SEGMIND_API_KEY:
        hint = "Set SEGMIND_API_KEY or SEGMIND_API_KEY_FILE, or unset SEGMIND_BASE_URL."
        messages.append(Warning("SEGMIND_BASE_URL is set but no API key.", hint=hint, id="portal.W001"))
    address = urlsplit(settings.SEGMIND_BASE_URL)
    if address.scheme not in {"http", "https"} or not address.hostname:
        messages.append(Error("SEGMIND_BASE_URL must be an http(s) address.", id="portal.E001"))
    elif address.scheme == "http" and not (settings.LOCAL_ENGINE or address.hostname in LOOPBACK):
        hint = "The API key would travel unencrypted. Use https."
        messages.append(Warning("SEGMIND_BASE_URL is plain http.", hint=hint, id="portal.W002"))
    return messages
