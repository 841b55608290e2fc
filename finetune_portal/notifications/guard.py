"""Judges every connection that a library makes on its own, by the address that it really goes to.

Apprise resolves names and connects by itself, so judging the host of its URL beforehand would judge another
answer of the name server than the one it uses. Instead the interpreter asks before each connection of this
thread (an audit hook, PEP 578): redirects and second look-ups included, nothing slips by.
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
class Watch:
    refused: bool = False


@contextmanager
def watched() -> Iterator[Watch]:
    """Inside, this thread reaches only addresses that `web/outbound.py` calls public."""
    _install()
    _this_thread.watch = Watch()
    try:
        yield _this_thread.watch
    finally:
        _this_thread.watch = None


@cache
def _install() -> None:
    """Once a process, for good. Behind a proxy the hook would judge the proxy only: none is used."""
    os.environ.update({"no_proxy": "*", "NETRC": os.devnull})
    sys.addaudithook(_judge)


def _judge(event: str, args: tuple[Any, ...]) -> None:
    if event not in ("socket.connect", "socket.sendto"):
        return
    watch: Watch | None = getattr(_this_thread, "watch", None)
    if watch is not None and not _is_allowed(args[1]):
        watch.refused = True
        raise PermissionError("not a public address")


def _is_allowed(address: Any) -> bool:
    try:
        return outbound.is_public(address[0], settings.OUTBOUND_NETWORKS)
    except (TypeError, ValueError):  # a socket file, or a name not yet resolved
        return False
