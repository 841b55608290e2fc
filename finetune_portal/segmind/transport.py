"""One exchange with the upstream: time-outs, byte caps, no redirects, and every fault as a SegmindError.

The only module that knows requests. A key or a signed URL never reaches an exception's text.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import IO, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    SSLError,
)

from finetune_portal.segmind import errors
from finetune_portal.segmind.types import number, text

CONNECT, READ = 5.0, 30.0
SMALL, LARGE = 1024 * 1024, 32 * 1024 * 1024
BLOCK = 1024 * 1024
UPLOAD_READ = 300.0
NEVER_LEFT = (ConnectTimeoutError, NewConnectionError, NameResolutionError, SSLError)
S3_CODE = re.compile(rb"<Code>([A-Za-z0-9.]{1,60})</Code>")


class BigBlocks(HTTPAdapter):
    """Sends a body in 1 MiB blocks; the default of 16 KiB is nine times slower."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, blocksize=BLOCK, **kwargs)


class Transport:
    """The connection to one base URL with one key. Not to be shared between threads."""

    def __init__(self, base_url: str, api_key: str) -> None:
        self._base_url, self._api_key = base_url.rstrip("/"), api_key
        self._session = self._new_session()
        self.headers: Mapping[str, str] = {}

    def _new_session(self) -> requests.Session:
        session = requests.Session()
        session.trust_env = False  # no .netrc, no proxy that an environment slipped in
        session.headers["Accept-Encoding"] = "identity"
        session.mount("http://", BigBlocks())
        session.mount("https://", BigBlocks())
        return session

    def call(
        self,
        method: str,
        path: str,
        *,
        cap: int = SMALL,
        total: float = READ,
        fresh: bool = False,
        **body: Any,
    ) -> bytes:
        """The answer's body. `fresh` opens a connection of its own: an idle one may be half dead."""
        session = self._new_session() if fresh else self._session
        deadline = time.monotonic() + total
        try:
            with session.request(
                method,
                self._base_url + path,
                headers={"x-api-key": self._api_key},
                timeout=(CONNECT, min(READ, total) if not fresh else total),
                allow_redirects=False,
                stream=True,
                **body,
            ) as response:
                content = _read(response, cap, deadline)
                self.headers = {name.lower(): value for name, value in response.headers.items()}
        except requests.RequestException as exc:
            raise _fault(exc) from None
        finally:
            if fresh:
                session.close()
        if not response.ok or response.is_redirect:
            raise _refusal(response, content)
        return content

    def put_file(self, url: str, body: IO[bytes], headers: Mapping[str, str]) -> str:
        """PUT a file to a signed URL, without the key. Answers the ETag."""
        try:
            with self._session.put(
                url,
                data=body,
                headers=dict(headers),
                timeout=(CONNECT, UPLOAD_READ),
                allow_redirects=False,
                stream=True,
            ) as response:
                content = _read(response, SMALL, time.monotonic() + READ)
        except requests.RequestException as exc:
            raise _fault(exc) from None
        if response.status_code not in (200, 201, 204):
            found = S3_CODE.search(content[:8192])
            code = found[1].decode() if found else f"status {response.status_code}"
            sentence = "The storage did not take the dataset. It is tried again with a fresh address."
            raise errors.ServerTrouble(sentence, status=response.status_code, detail=code)
        return str(response.headers.get("ETag", "")).strip('"')


class Body:
    """A file that tells its length, so that requests sends Content-Length, and counts what was read."""

    def __init__(self, file: IO[bytes], size: int, on_progress: Callable[[int], None] | None) -> None:
        self._file, self._size, self._on_progress = file, size, on_progress
        self._sent, self._told = 0, 0.0

    def __len__(self) -> int:
        return self._size

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(BLOCK if size < 0 else max(size, BLOCK))
        if not block and self._sent < self._size:
            raise OSError("the file is shorter than it was")
        self._sent += len(block)
        if self._on_progress and time.monotonic() - self._told > 0.5:
            self._told = time.monotonic()
            self._on_progress(self._sent)
        return block


def _read(response: requests.Response, cap: int, deadline: float) -> bytes:
    """The raw body within `cap` bytes and the deadline. A compressed one could unpack to gigabytes."""
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise errors.BadReply(_odd("a compressed answer"), status=response.status_code)
    content = bytearray()
    for block in response.iter_content(16 * 1024):
        content += block
        if len(content) > cap:
            raise errors.BadReply(_odd("an answer that does not end"), status=response.status_code)
        if time.monotonic() > deadline:
            raise errors.Interrupted("The upstream answers too slowly. It is asked again by itself.")
    return bytes(content)


def _fault(exc: requests.RequestException) -> errors.SegmindError:
    detail = type(exc).__name__
    if isinstance(exc, requests.exceptions.SSLError):
        sentence = "The upstream's certificate is not valid, so nothing was sent. Tell an admin."
        return errors.Unreachable(sentence, detail=detail)
    reason = exc.args[0] if exc.args else None
    cause = reason.reason if isinstance(reason, MaxRetryError) else reason
    if isinstance(exc, requests.ConnectTimeout) or isinstance(cause, NEVER_LEFT):
        sentence = "The upstream cannot be reached. It is tried again by itself."
        return errors.Unreachable(sentence, detail=detail)
    sentence = "The connection to the upstream broke before its answer came."
    return errors.Interrupted(sentence, detail=detail)


def _refusal(response: requests.Response, content: bytes) -> errors.SegmindError:
    status, reason = response.status_code, _reason(content)
    says = f" It says: {reason}" if reason else ""
    if status == 401:
        sentence = "The upstream does not accept the API key. An admin should check it in the settings."
        return errors.Unauthorized(sentence, status=status, detail=reason)
    if status in (402, 406):
        sentence = f"The account has not enough credits. Top it up and start again.{says}"
        return errors.OutOfCredits(sentence, status=status, detail=reason)
    if status == 410:
        sentence = f"The upstream takes no new trainings.{says}"
        return errors.Closed(sentence, status=status, detail=reason)
    if status == 429:
        busy = errors.Busy("The upstream asks for a pause. It is tried again by itself.", status=status)
        busy.retry_after = number(response.headers.get("Retry-After"))
        return busy
    if status in (408, 409, 425) or not 400 <= status < 500:
        sentence = f"The upstream has trouble of its own (status {status}). Try again in a few minutes."
        return errors.ServerTrouble(sentence, status=status, detail=reason)
    sentence = f"The upstream said no (status {status}).{says}"
    return errors.Rejected(sentence, status=status, detail=reason)


def _reason(content: bytes) -> str:
    """The upstream's own words, if it answered JSON; its HTML is never passed on."""
    try:
        told = parse(content)
    except errors.BadReply:
        return ""
    if not isinstance(told, dict):
        return ""
    inner = told.get("error")
    values = (
        inner.get("message") if isinstance(inner, dict) else inner,
        told.get("message"),
        told.get("detail"),
    )
    return next((text(value) for value in values if text(value)), "")


def parse(content: bytes) -> Any:
    """JSON, strictly: every way in which it can be broken is one BadReply."""
    try:
        return json.loads(
            content.decode("utf-8-sig"),
            object_pairs_hook=_no_twins,
            parse_constant=_no_constant,
        )
    except (ValueError, RecursionError) as exc:
        raise errors.BadReply(_odd("no valid JSON"), detail=type(exc).__name__) from None


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a name twice in one object")
    return dict(pairs)


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _odd(what: str) -> str:
    return f"The upstream sent {what}. That is its fault; try again in a few minutes."


def odd_shape(what: str) -> errors.BadReply:
    return errors.BadReply(_odd(f"an answer without {what}"))
