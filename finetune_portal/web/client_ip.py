"""The address of the client, read through the listed proxies only."""

from __future__ import annotations

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest


def client_ip(request: HttpRequest) -> str:
    """Return the nearest address that is not one of our proxies: a client can invent every hop before it."""
    address = str(request.META.get("REMOTE_ADDR") or "127.0.0.1")
    hops = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",")]
    if settings.PROXIES == "*":
        return _valid_ip(hops[-1]) or address
    while hops and any(ip_address(address) in network for network in settings.PROXIES):
        before = _valid_ip(hops.pop())
        if not before:
            break
        address = before
    return address


def _valid_ip(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        return ""
