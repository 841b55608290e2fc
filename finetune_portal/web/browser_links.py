"""Links that a provider names and a page hands to a browser: none may lead into the network of its reader.

Judged as a browser reads them (WHATWG URL). A name is not resolved: the reader's network may resolve it to
something else.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, ip_address
from urllib.parse import urlsplit

from django.conf import settings

from finetune_portal.web import outbound

# No user, no escape, no backslash, and no character that a browser would turn into another one.
PLAIN_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(:[0-9]*)?")
NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
INNER = ("localhost", "local", "internal", "intranet", "private", "corp", "home", "lan", "home.arpa")


def is_safe(url: str, *, own_url: str) -> bool:
    """Whether a link leads to a public host, or to that of `own_url`, which the operator chose."""
    try:
        parts = urlsplit(url)
        is_plain = parts.scheme in ("http", "https") and url.isprintable() and parts.port != 0
    except ValueError:
        return False
    if not is_plain or not PLAIN_HOST.fullmatch(parts.netloc):
        return False
    host = (parts.hostname or "").removesuffix(".")
    return host == urlsplit(own_url).hostname or _is_public(host)


def _is_public(host: str) -> bool:
    labels = host.split(".")
    try:
        if ":" in host:
            return outbound.is_public(str(ip_address(host)), settings.OUTBOUND_NETWORKS)
        if NUMBER.fullmatch(labels[-1]):  # browsers read 2130706433, 0x7f.1 and 0177.0.0.1 as IPv4 addresses
            return outbound.is_public(str(IPv4Address(host)), settings.OUTBOUND_NETWORKS)
    except ValueError:
        return False
    is_inner = any(host == name or host.endswith(f".{name}") for name in INNER)
    return len(labels) > 1 and all(labels) and not is_inner
