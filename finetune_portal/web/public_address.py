"""Whether the internet can reach an address, such as the portal's own, by its name alone."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit

from finetune_portal.web import outbound

INTERNAL_SUFFIXES = (
    ".localhost",
    ".local",
    ".lan",
    ".internal",
    ".intranet",
    ".home.arpa",
    ".test",
    ".invalid",
)


def unreachable_reason(url: str) -> str:
    """Why nobody outside can reach this address; empty if they may."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        address = ip_address(host)
    except ValueError:
        if host == "localhost":
            return "It leads to this machine only."
        is_internal = "." not in host or host.endswith(INTERNAL_SUFFIXES)
        return "Its name looks like one that only your own network resolves." if is_internal else ""
    if address.is_loopback:
        return "It leads to this machine only."
    return "" if outbound.is_public(host) else "It is inside a private network."


def is_public_https(url: str) -> bool:
    """Whether a provider's servers may reach this address, and by https."""
    return urlsplit(url).scheme == "https" and not unreachable_reason(url)
