"""Ports for the programs that tests start, each for one of them alone."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from functools import cache
from pathlib import Path

# Below those that Linux and macOS give to whoever names none: no connection and no fake has one of them.
RANGE = range(20_000, 32_000)
FOLDER = Path(tempfile.gettempdir()) / f"finetune-portal-ports-{os.getuid()}"
_locks: list[int] = []  # file descriptors, open as long as this process lives


def free_port() -> int:
    """A port on which nothing listens, and that no other process of the tests gets while this one lives.

    A port that the system names is free again as soon as it is closed, and may be another program's before
    the one that it was meant for listens there.
    """
    FOLDER.mkdir(exist_ok=True)
    ports = list(RANGE)
    random.shuffle(ports)
    return next(filter(_take, ports))


@cache
def closed_port() -> int:
    """A port of this process on which nobody ever listens."""
    return free_port()


def _take(port: int) -> bool:
    lock = os.open(FOLDER / str(port), os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for address in ("127.0.0.1", ""):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((address, port))
    except OSError:
        os.close(lock)
        return False
    _locks.append(lock)
    return True
