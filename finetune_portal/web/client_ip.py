"""Who is at the other end of a request: the address of the browser, through the listed proxies only."""

from __future__ import annotations

from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest


def address_of(request: HttpRequest) -> str:
    """The nearest address that is none of our proxies; anyone can invent what lies before it."""
    address = str(request.META.get("REMOTE_ADDR") or "127.0.0.1")
    hops = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",")]
    if settings.PROXIES == "*":
        return _valid(hops[-1]) or address
    while hops and any(ip_address(address) in network for network in settings.PROXIES):
        before = _valid(hops.pop())
        if not before:
            break
        address = before
    return address


def _valid(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        return ""
