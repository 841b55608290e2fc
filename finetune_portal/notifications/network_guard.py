"""Check every connection that a library makes on its own, by the IP address that it really uses.

Apprise resolves names and connects by itself, so a check of its URL beforehand would see another answer of
the name server than the one it uses. Instead the interpreter asks before each connection of this thread (an
audit hook, PEP 578), redirects and second look-ups included.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings

from finetune_portal.web import outbound

_this_thread = threading.local()


@dataclass
class Guard:
    has_blocked: bool = False


@contextmanager
def public_addresses_only() -> Iterator[Guard]:
    """Inside, this thread reaches only addresses that `web/outbound.py` counts as public."""
    _install()
    _this_thread.guard = Guard()
    try:
        yield _this_thread.guard
    finally:
        _this_thread.guard = None


@cache
def _install() -> None:
    """Once a process, for good. Behind a proxy the hook would only see the proxy, so none is used."""
    os.environ.update({"no_proxy": "*", "NETRC": os.devnull})
    sys.addaudithook(_check)


def _check(event: str, args: tuple[Any, ...]) -> None:
    if event not in ("socket.connect", "socket.sendto"):
        return
    guard: Guard | None = getattr(_this_thread, "guard", None)
    if guard is not None and not _is_allowed(args[1]):
        guard.has_blocked = True
        raise PermissionError("not a public address")


def _is_allowed(address: Any) -> bool:
    try:
        return outbound.is_public(address[0], settings.OUTBOUND_NETWORKS)
    except (TypeError, ValueError):  # a socket file, or a name not yet resolved
        return False
