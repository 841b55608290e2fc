"""The files of fal's CDN: uploads and results, with the wishes of their owner about access and expiry."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, quote

from tests.fal.request import FalRequest, detail, platform_error
from tests.provider.exchange import Answer, says
from tests.provider.results import etag_of, serve

if TYPE_CHECKING:
    from tests.fal.server import FakeFal

TOKEN_SECONDS = 3600
MOST_SIGNED_SECONDS = 604_800


@dataclass
class StoredFile:
    """A file at its path. `expires_at` is in unix seconds; `access` is allow, forbid or hide."""

    name: str
    content: bytes
    content_type: str
    access: str = "allow"
    expires_at: float | None = None
    fault: str = ""
    is_complete: bool = True
    parts: dict[int, bytes] = field(default_factory=dict)
    signatures: dict[str, float] = field(default_factory=dict)  # until when, in unix seconds


class Files:
    """All files by path, and the tokens with which the Python client uploads."""

    def __init__(self) -> None:
        self.stored: dict[str, StoredFile] = {}
        self.tokens: set[str] = set()

    def put(
        self, name: str, content: bytes, content_type: str, preference: str = "", *, fault: str = ""
    ) -> str:
        """Store a file and return its path. `preference`: the JSON of X-Fal-Object-Lifecycle(-Preference)."""
        wishes: Any = {}
        with suppress(ValueError):
            wishes = json.loads(preference or "{}")
        seconds = wishes.get("expiration_duration_seconds")
        path = f"/files/b/{secrets.token_hex(8)}/{secrets.token_urlsafe(9)}_{quote(name)}"
        self.stored[path] = StoredFile(
            name,
            content,
            content_type,
            (wishes.get("initial_acl") or {}).get("default") or "allow",
            time.time() + seconds if seconds else None,
            fault,
        )
        return path

    def look(self, path: str, query: str) -> tuple[int, StoredFile | None]:
        """The file, or the status that says why not."""
        file, now = self.stored.get(path), time.time()
        if file is None or not file.is_complete or (file.expires_at or now) < now:
            return 404, None
        signature = parse_qs(query).get("identity", [""])[0]
        if file.access != "allow" and file.signatures.get(signature, 0) < now:
            return (404 if file.access == "hide" else 403), None
        return (int(file.fault), None) if file.fault in ("403", "404") else (200, file)


def _preference(headers: Mapping[str, str]) -> str:
    return headers.get("x-fal-object-lifecycle") or headers.get("x-fal-object-lifecycle-preference", "")


def token(fal: FakeFal, request: FalRequest) -> Answer:
    value = secrets.token_urlsafe(24)
    fal.files.tokens.add(value)
    expires_at = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + TOKEN_SECONDS))
    base_url = request.address("cdn", "")
    return says(200, {"token": value, "token_type": "Bearer", "base_url": base_url, "expires_at": expires_at})


def upload(fal: FakeFal, request: FalRequest) -> Answer:
    """The Python client's way: the bytes, with a token."""
    path = fal.files.put(
        request.headers.get("x-fal-file-name", "upload.bin"),
        request.body,
        request.headers.get("content-type", "application/octet-stream"),
        _preference(request.headers),
    )
    return says(200, {"access_url": request.address("cdn", path)})


def multipart(fal: FakeFal, request: FalRequest) -> Answer:
    path = _begin(fal, request, request.headers.get("x-fal-file-name", "upload.bin"))
    return says(200, {"access_url": request.address("cdn", path), "uploadId": secrets.token_hex(8)})


def initiate(fal: FakeFal, request: FalRequest) -> Answer:
    """The JavaScript client's way: an address for the bytes, and one where they lie afterwards."""
    wanted = request.payload
    if not isinstance(wanted, dict) or not {"file_name", "content_type"} <= wanted.keys():
        return detail(422, [{"loc": ["body", "file_name"], "msg": "Field required", "type": "missing"}])
    path = _begin(fal, request, wanted["file_name"])
    address = request.address("cdn", path)
    return says(200, {"upload_url": f"{address}?upload={secrets.token_hex(8)}", "file_url": address})


def _begin(fal: FakeFal, request: FalRequest, name: str) -> str:
    path = fal.files.put(name, b"", "application/octet-stream", _preference(request.headers))
    fal.files.stored[path].is_complete = False
    return path


def put(fal: FakeFal, request: FalRequest) -> Answer:
    """The bytes of an initiated upload, whole."""
    file = fal.files.stored.get(request.path)
    if file is None or file.is_complete or not request.param("upload"):
        return detail(403, "Forbidden")
    file.content, file.is_complete = request.body, True
    file.content_type = request.headers.get("content-type", file.content_type)
    return says(200, b"", ETag=etag_of(request.body), Content_Type="text/plain")


def part(fal: FakeFal, request: FalRequest) -> Answer:
    """A part of an upload: /files/…/multipart/UPLOAD/N, or /files/…/N for the JavaScript client."""
    path, number = re.sub(r"/multipart/\w+(?=/\d+$)", "", request.path).rsplit("/", 1)
    file = fal.files.stored.get(path)
    known = request.headers.get("authorization", "").removeprefix("Bearer ") in fal.files.tokens
    if file is None or file.is_complete or not (known or request.param("upload")):
        return detail(403, "Forbidden")
    file.parts[int(number)] = request.body
    tag = etag_of(request.body)
    return says(200, {"partNumber": int(number), "etag": tag}, ETag=tag)


def complete(fal: FakeFal, request: FalRequest) -> Answer:
    path = re.sub(r"(/multipart/\w+)?/complete$", "", request.path)
    file = fal.files.stored.get(path)
    named = (request.payload or {}).get("parts", [])
    if file is None or {each["partNumber"] for each in named} != file.parts.keys():
        return detail(400, "The parts are not those that were sent")
    if any(each["etag"] != etag_of(file.parts[each["partNumber"]]) for each in named):
        return detail(400, "An ETag is wrong")
    file.content = b"".join(file.parts[number] for number in sorted(file.parts))
    file.is_complete, file.parts = True, {}
    return says(200, {"access_url": request.address("cdn", path)})


def download(fal: FakeFal, request: FalRequest) -> Answer:
    """A file, or the range of it that was asked for."""
    status, file = fal.files.look(request.path, request.query)
    if file is None:
        return says(status, b"Not found" if status == 404 else b"Forbidden", Content_Type="text/plain")
    return serve(file.content, file.content_type, file.fault, request.headers.get("range", ""))


def sign(fal: FakeFal, request: FalRequest) -> Answer:
    """An address that opens a file whatever its ACL says: a new one at each call."""
    payload = request.payload
    seconds = payload.get("expiration_seconds") if isinstance(payload, dict) else None
    if not isinstance(seconds, int) or not 0 < seconds <= MOST_SIGNED_SECONDS:
        return platform_error(400, "validation_error", "expiration_seconds must be between 1 and 604800")
    url = request.param("url")
    path = next((path for path in fal.files.stored if url.endswith(path)), None)
    if path is None:
        return platform_error(404, "not_found", "Resource not found")
    signature = secrets.token_urlsafe(24)
    fal.files.stored[path].signatures[signature] = time.time() + seconds
    return says(200, {"signed_url": f"{url}?identity={signature}"})
