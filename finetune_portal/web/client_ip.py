"""The address of the client, read through the listed proxies only."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest


def client_ip(request: HttpRequest) -> str:
    """Return the nearest address that is not one of our proxies: a client can invent every hop before it."""
    address = _valid_ip(str(request.META.get("REMOTE_ADDR") or "")) or "127.0.0.1"
    hops = [hop.strip() for hop in request.headers.get("X-Forwarded-For", "").split(",")]
    if settings.PROXIES == "*":
        return _valid_ip(hops[-1]) or address
    while hops and any(ip_address(address) in network for network in settings.PROXIES):
        before = _valid_ip(hops.pop())
        if not before:
            break
        address = before
    return address


def host_of(address: str) -> str:
    """Return what counts as one host: an IPv4 address, of an IPv6 address the first one of its /64.

    One subscriber has a whole /64, and often a /56 or /48 (RFC 6177), so single IPv6 addresses are no limit.
    """
    return _first_of_network(address, bits=64)


def site_of(address: str) -> str:
    """Return what counts as one site: an IPv4 address, of an IPv6 address the first one of its /48."""
    return _first_of_network(address, bits=48)


def _first_of_network(address: str, *, bits: int) -> str:
    if ip_address(address).version == 4:
        return address
    return str(ip_network((address.partition("%")[0], bits), strict=False).network_address)


def _valid_ip(text: str) -> str:
    """Return the address as Python spells it, or an empty text.

    A socket for both protocols reports IPv4 as addresses of IPv6: they are read as IPv4.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return ""
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(address)
