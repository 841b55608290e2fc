"""Decode foreign images to their end, in a child process with limits, so that a hostile one ends only that.

A `Decoder` keeps one child (`child.py`) for all images of a dataset or of a request. AT_ONCE of them have a
child at the same time. Where others wait, the child of a dataset makes room after SLICE_SECONDS, and its
decoder goes on with another one when its turn comes.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from finetune_portal import env
from finetune_portal.engine.images.errors import DecoderUnavailableError, ImageError
from finetune_portal.engine.images.limits import MAX_PIXELS, Limits
from finetune_portal.engine.images.places import BUSY, Places

CHILD = "finetune_portal.engine.images.child"
AT_ONCE = 2
REQUESTS_WAITING = 6  # of the server's 16 threads
REQUEST_SECONDS = 20.0
SLICE_SECONDS = 5.0
KEPT_SECONDS = 300.0  # of one child; less than it has seconds of CPU
START_SECONDS = 30.0
END_SECONDS = 1.0
TRIES = 2
ANSWER_BYTES = 1000
# What others end a process with, such as an operator, a supervisor or a system that runs out of memory.
INTERRUPTIONS = {-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP, -signal.SIGQUIT}
NO_CHILD = "The engine cannot start the process that decodes pictures. Its log says why."
TOO_SLOW = "takes too long to decode."
CRASHES = "cannot be decoded: it crashes the decoder. Save it anew in another program."
KILLED = "was not decoded: the process that decodes it was killed twice. The machine may be short of memory."

log = logging.getLogger(__name__)
LIMITS = Limits()
places = Places(AT_ONCE, requests_waiting=REQUESTS_WAITING)


class Decoder:
    """Takes a place and starts a child at its first image. `close` ends the child and gives the place back.

    `check_in` is called while it waits for a place, and raises when the waiting is to end. Without it this is
    the decoder of a request, which waits for REQUEST_SECONDS.
    """

    def __init__(self, check_in: Callable[[], None] | None = None) -> None:
        self._check_in = check_in
        self._child: _Child | None = None

    def check(self, content: bytes, *, max_pixels: int = MAX_PIXELS) -> None:
        """Decode an image. Raises ImageError for one that is refused, and DecoderUnavailableError."""
        for _ in range(TRIES):
            child = self._ready_child()
            try:
                fault = child.ask(content, max_pixels)
            except TimeoutError:
                self.close()
                fault = TOO_SLOW
            except OSError:
                status = self.close()
                if status in INTERRUPTIONS:
                    continue
                fault = TOO_SLOW if status == -signal.SIGXCPU else CRASHES
            if fault:
                raise ImageError(fault)
            return
        raise ImageError(KILLED)

    def close(self) -> int:
        """End the child, if there is one; return its exit status."""
        child, self._child = self._child, None  # before all else: a close by another thread finds none
        if child is None:
            return 0
        try:
            return child.end()
        finally:
            places.give_back()

    def _ready_child(self) -> _Child:
        makes_room = self._check_in is not None and places.waiting
        if self._child and self._child.age() > (SLICE_SECONDS if makes_room else KEPT_SECONDS):
            self.close()
        if self._child is None:
            places.take(self._check_in or _deadline(), is_request=self._check_in is None)
            try:
                self._child = _started_child()
            finally:
                if self._child is None:
                    places.give_back()
        return self._child


def _deadline() -> Callable[[], None]:
    """What a request calls while it waits."""
    latest = time.monotonic() + REQUEST_SECONDS

    def check_in() -> None:
        if time.monotonic() > latest:
            raise DecoderUnavailableError(BUSY)

    return check_in


def _started_child() -> _Child:
    for _ in range(TRIES):
        try:
            return _Child(LIMITS)
        except OSError:
            log.exception("The decoder did not start.")
    raise DecoderUnavailableError(NO_CHILD)


class _Child:
    """A running child. It is asked by a socket, whose time-outs hold for sending, too."""

    def __init__(self, limits: Limits) -> None:
        """Start a process with the limits. Raises OSError where it does not start."""
        self._started_at = time.monotonic()
        self._socket, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = _start(theirs, limits)
        except OSError:
            self._socket.close()
            raise
        try:
            self._socket.settimeout(START_SECONDS)
            self._answer()
        except OSError:
            self.end()
            raise
        self._socket.settimeout(limits.clock)

    def age(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started_at

    def ask(self, content: bytes, max_pixels: int) -> str:
        """What is wrong with the image; empty if nothing. Raises OSError where the child ended.

        TimeoutError is one of them.
        """
        self._socket.sendall(f"{len(content)} {max_pixels}\n".encode() + content)
        return self._answer()

    def end(self) -> int:
        """End the process, unless it ended by itself; return its exit status."""
        self._socket.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(END_SECONDS)
        if self._process.poll() is None:
            with suppress(ProcessLookupError, PermissionError):  # macOS refuses it for a zombie
                os.killpg(self._process.pid, signal.SIGKILL)
        _, stderr = self._process.communicate()
        if stderr:
            log.error("The decoder ended with status %s: %s", self._process.returncode, _text(stderr))
        return self._process.returncode

    def _answer(self) -> str:
        answer = b""
        while not answer.endswith(b"\n"):
            part = self._socket.recv(ANSWER_BYTES)
            answer += part
            if not part or len(answer) > ANSWER_BYTES:
                raise ConnectionResetError
        return _text(answer)


def _start(theirs: socket.socket, limits: Limits) -> subprocess.Popen[bytes]:
    numbers = (str(limits.memory), str(limits.cpu), str(limits.total_cpu))
    return subprocess.Popen(  # nosec B603  # our own module
        [sys.executable, "-W", "ignore", "-m", CHILD, *numbers],
        cwd=env.ROOT,
        env={"PYTHONUTF8": "1"},
        stdin=theirs.fileno(),
        stdout=theirs.fileno(),
        stderr=subprocess.PIPE,
        umask=0o077,
        start_new_session=True,
    )


def _text(line: bytes) -> str:
    return line.decode("utf-8", "replace").strip()
