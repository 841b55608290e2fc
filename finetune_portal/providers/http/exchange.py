"""Send one request and read its answer: time-outs, size limits, no redirects, errors as CallError.

What fails before the first byte is sent is an UnreachableError, what fails after it a ConnectionLostError.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from typing import IO

import requests
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError

from finetune_portal.providers import errors
from finetune_portal.providers.http.json_body import invalid
from finetune_portal.providers.http.session import BLOCK, Session

CONNECT, READ = 5.0, 30.0  # seconds
SMALL, LARGE = 1024 * 1024, 32 * 1024 * 1024  # bytes of an answer
FAULTS = (requests.RequestException, HTTPError, ValueError, OverflowError)  # the last two: odd framing


class Body:
    """A file with a length, so that requests sends Content-Length, and a count of what was read."""

    def __init__(self, file: IO[bytes], size: int, on_progress: Callable[[int], None] | None) -> None:
        self._file, self._size, self._on_progress = file, size, on_progress
        self._sent, self._reported_at = 0, 0.0

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        """A block, whatever `size` asks for, and never more than announced: the file may have grown."""
        wanted = min(BLOCK, self._size - self._sent)
        block = self._file.read(wanted)
        if wanted and not block:
            raise OSError("the file is shorter than it was")
        self._sent += len(block)
        if self._on_progress and time.monotonic() - self._reported_at > 0.5:
            self._reported_at = time.monotonic()
            self._on_progress(self._sent)
        return block


def send(session: Session, request: requests.Request, seconds: float) -> requests.Response:
    try:
        prepared = session.prepare_request(request)
        session.get_adapter(str(prepared.url))
    except FAULTS as exc:
        sentence = "The provider's address or the API key is not valid, so nothing was sent. Tell an admin."
        raise errors.UnreachableError(sentence, detail=type(exc).__name__) from None
    try:
        return session.send(prepared, timeout=(CONNECT, seconds), allow_redirects=False, stream=True)
    except FAULTS as exc:
        raise fault(exc) from None


def read(response: requests.Response, cap: int, deadline: float) -> bytes:
    """The raw body, up to `cap` bytes and the deadline. A compressed one could unpack to gigabytes."""
    status = response.status_code
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise errors.InvalidResponseError(invalid("a compressed answer"), status=status)
    content = bytearray()
    try:
        while block := response.raw.read1(16 * 1024, decode_content=False):  # as it comes: it may come slowly
            content += block
            if len(content) > cap:
                raise errors.InvalidResponseError(invalid("an answer that does not end"), status=status)
            if time.monotonic() > deadline:
                raise errors.ConnectionLostError("The provider answers too slowly.")
    except FAULTS as exc:
        raise fault(exc) from None
    return bytes(content)


def body_if_readable(response: requests.Response, deadline: float) -> bytes:
    """The body of an answer whose status says enough: empty if it cannot be read."""
    try:
        return read(response, SMALL, deadline)
    except errors.CallError:
        return b""


def fault(exc: Exception) -> errors.CallError:
    detail = type(exc).__name__
    reason = exc.args[0] if exc.args else None
    cause = reason.reason if isinstance(reason, MaxRetryError) else reason
    if not isinstance(cause, ConnectTimeoutError):
        sentence = "The connection to the provider broke before its answer came."
        return errors.ConnectionLostError(sentence, detail=detail)
    if isinstance(cause.__cause__, ssl.SSLError):
        sentence = "The provider's certificate is not valid, so nothing was sent. Tell an admin."
        return errors.UnreachableError(sentence, detail=type(cause.__cause__).__name__)
    sentence = "The provider cannot be reached."
    return errors.UnreachableError(sentence, detail=detail)
