"""Exchange one request with the provider: time-outs, size limits, no redirects, errors as SegmindError.

The only module that imports requests. Neither a key nor a signed URL reaches the text of an exception.
"""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import IO, Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, HTTPError, MaxRetryError, NewConnectionError

from finetune_portal.providers.segmind import errors, url_checks
from finetune_portal.providers.segmind.error_responses import error_for
from finetune_portal.providers.segmind.json_body import invalid
from finetune_portal.providers.segmind.storage_errors import storage_error
from finetune_portal.providers.segmind.types import FileSlice, StoredObject

CONNECT, READ = 5.0, 30.0
SMALL, LARGE = 1024 * 1024, 32 * 1024 * 1024
BLOCK = 1024 * 1024
UPLOAD_READ = 300.0
FAULTS = (requests.RequestException, HTTPError, ValueError, OverflowError)  # the last two: odd framing


class Connection(HTTPConnection):
    def connect(self) -> None:
        try:
            super().connect()
        except (OSError, ValueError, HTTPError) as exc:
            raise _connect_error(self, exc) from exc


class SecureConnection(HTTPSConnection):
    def connect(self) -> None:
        try:
            super().connect()
        except (OSError, ValueError, HTTPError) as exc:
            raise _connect_error(self, exc) from exc


def _connect_error(connection: HTTPConnection, exc: Exception) -> ConnectTimeoutError:
    """What fails while connecting, a TLS handshake included, fails before any byte of the request is sent."""
    return exc if isinstance(exc, ConnectTimeoutError) else NewConnectionError(connection, type(exc).__name__)


class Pool(HTTPConnectionPool):
    ConnectionCls = Connection


class SecurePool(HTTPSConnectionPool):
    ConnectionCls = SecureConnection


class Adapter(HTTPAdapter):
    """Send a body in 1 MiB blocks; the default of 16 KiB is nine times slower."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, blocksize=BLOCK, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": Pool, "https": SecurePool}


class Session(requests.Session):
    """Ignore the environment, keep no cookie, and do not look where a redirect leads."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False  # no .netrc and no proxy of the environment
        self.headers["Accept-Encoding"] = "identity"
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.mount("http://", Adapter())
        self.mount("https://", Adapter())

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: otherwise requests reads the whole body and parses the URL, even if it may not follow."""


class Transport:
    """The connection to one base URL with one key. Do not share it between threads."""

    def __init__(self, base_url: str, api_key: str, max_seconds: float) -> None:
        self._base_url, self._api_key = base_url.rstrip("/"), api_key
        self._max_seconds = max_seconds
        self._session = Session()
        self.headers: Mapping[str, str] = {}

    def call(
        self,
        method: str,
        path: str,
        *,
        base_url: str = "",
        cap: int = SMALL,
        total: float = READ,
        new_connection: bool = False,
        for_new_job: bool = False,
        **body: Any,
    ) -> bytes:
        """Return the body of the answer. `base_url`: another one of the same provider.

        `new_connection` opens one for this call alone, as an idle one may be half dead. `for_new_job`: a
        refusal may mean that the provider takes no new jobs.
        """
        session = Session() if new_connection else self._session
        total = min(total, self._max_seconds)
        deadline = time.monotonic() + total
        key = self._api_key.encode("utf-8", "replace")  # as bytes, any character can be sent
        url = (base_url or self._base_url) + path
        request = requests.Request(method, url, headers={"x-api-key": key}, **body)
        try:
            with _send(session, request, total) as response:
                self.headers = {name.lower(): value for name, value in response.headers.items()}
                if 200 <= response.status_code < 300:
                    return _read(response, cap, deadline)
                pause = response.headers.get("Retry-After", "")
                content = _body_if_readable(response, deadline)
                raise error_for(response.status_code, pause, content, self._api_key, for_new_job=for_new_job)
        finally:
            if new_connection:
                session.close()

    def close(self) -> None:
        self._session.close()

    def check_secure(self, url: str) -> None:
        """Raise InvalidResponseError for a URL of an answer to which no file may be sent."""
        url_checks.check_secure(url, self._base_url)

    def put_file(self, url: str, body: IO[bytes], headers: Mapping[str, str]) -> StoredObject:
        """PUT a file to a signed URL, without the key."""
        self.check_secure(url)
        request = requests.Request("PUT", url, data=body, headers=dict(headers))
        with _send(self._session, request, min(UPLOAD_READ, self._max_seconds)) as response:
            content = _body_if_readable(response, time.monotonic() + min(READ, self._max_seconds))
        if response.status_code not in (200, 201, 204):
            raise storage_error(response.status_code, content, sending=True)
        return StoredObject.from_headers(response.headers)

    def check_file(self, url: str) -> None:
        """Ask for the first byte of a file behind a signed URL. Raises StorageError if it is not there."""
        self.check_secure(url)
        seconds = min(READ, self._max_seconds)
        request = requests.Request("GET", url, headers={"Range": "bytes=0-0"})
        with _send(Session(), request, seconds) as response:
            if response.status_code not in (200, 206, 416):
                content = _body_if_readable(response, time.monotonic() + seconds)
                raise storage_error(response.status_code, content, sending=False)

    def get_file(self, url: str) -> Iterator[bytes]:
        """GET a file from a signed URL, without the key, block by block."""
        self.check_secure(url)
        with _send(self._session, requests.Request("GET", url), READ) as response:
            if response.status_code != 200:
                content = _body_if_readable(response, time.monotonic() + READ)
                raise storage_error(response.status_code, content, sending=False)
            try:
                yield from response.iter_content(BLOCK)
            except requests.RequestException as exc:
                raise _fault(exc) from None

    def get_slice(self, url: str, start: int, end: int) -> FileSlice:
        """GET the bytes from `start` to before `end` of a file behind a signed URL, or those that it has."""
        self.check_secure(url)
        deadline = time.monotonic() + READ
        request = requests.Request("GET", url, headers={"Range": f"bytes={start}-{end - 1}"})
        with _send(self._session, request, READ) as response:
            if response.status_code not in (200, 206):
                raise storage_error(
                    response.status_code, _body_if_readable(response, deadline), sending=False
                )
            content = _read(response, end - start, deadline)
        total = _total_of(response, start)
        if len(content) != min(end, total) - start:
            raise errors.InvalidResponseError(invalid("another part of the file"))
        etag, modified = response.headers.get("ETag", ""), response.headers.get("Last-Modified", "")
        return FileSlice(content, total, etag, modified)

    def get_whole(self, url: str, cap: int) -> bytes:
        """GET the file that an answer names, without the key, in one piece."""
        self.check_secure(url)
        seconds = min(READ, self._max_seconds)
        deadline = time.monotonic() + seconds
        with _send(self._session, requests.Request("GET", url), seconds) as response:
            if response.status_code != 200:
                content = _body_if_readable(response, deadline)
                raise storage_error(response.status_code, content, sending=False)
            return _read(response, cap, deadline)


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


def _send(session: Session, request: requests.Request, seconds: float) -> requests.Response:
    try:
        prepared = session.prepare_request(request)
        session.get_adapter(str(prepared.url))
    except FAULTS as exc:
        sentence = "The provider's address or the API key is not valid, so nothing was sent. Tell an admin."
        raise errors.UnreachableError(sentence, detail=type(exc).__name__) from None
    try:
        return session.send(prepared, timeout=(CONNECT, seconds), allow_redirects=False, stream=True)
    except FAULTS as exc:
        raise _fault(exc) from None


def _read(response: requests.Response, cap: int, deadline: float) -> bytes:
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
        raise _fault(exc) from None
    return bytes(content)


def _body_if_readable(response: requests.Response, deadline: float) -> bytes:
    """The body of an answer whose status says enough: empty if it cannot be read."""
    try:
        return _read(response, SMALL, deadline)
    except errors.SegmindError:
        return b""


def _total_of(response: requests.Response, start: int) -> int:
    """Return the size of the whole file, of which an answer has the part from `start` on."""
    header = response.headers.get("Content-Range", "") if response.status_code == 206 else ""
    if match := re.fullmatch(rf"bytes {start}-[0-9]+/([0-9]+)", header):
        return int(match[1])
    length = response.headers.get("Content-Length", "")
    if response.status_code == 200 and start == 0 and length.isdecimal():  # the file is smaller than the part
        return int(length)
    raise errors.InvalidResponseError(invalid("another part of the file"))


def _fault(exc: Exception) -> errors.SegmindError:
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
