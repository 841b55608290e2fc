"""Upload files to Replicate, and give each attempt an address of its own (docs/provider-replicate.md, 4)."""

from __future__ import annotations

import io
import re
import secrets
from collections.abc import Callable, Mapping
from typing import IO, Any, cast
from urllib.parse import quote

from finetune_portal.providers.contract import StoredDataset
from finetune_portal.providers.errors import RequestRejectedError
from finetune_portal.providers.http.exchange import Body
from finetune_portal.providers.http.files import MD5, UPLOAD_READ, plain_name
from finetune_portal.providers.http.json_body import missing
from finetune_portal.providers.http.url_checks import check_secure, is_http_url
from finetune_portal.providers.http.values import mapping, text, time_of
from finetune_portal.providers.replicate.client import Client
from finetune_portal.providers.replicate.results import MAX_ADDRESS

MOST_BYTES = 100 * 1024 * 1024
TOO_LARGE = "Replicate takes files of 100 MiB at most, so the dataset was not sent. Make it smaller."
NOT_UPLOADED = "This dataset is no upload at Replicate, so it is uploaded anew."
NONCE_NAME = "portal-job="
FILE = re.compile(r"/files/([^/?#]{1,200})")

Progress = Callable[[int], None]


class Storage:
    def __init__(self, client: Client) -> None:
        self._client = client

    def put(
        self, name: str, content_type: str, file: IO[bytes], size: int, on_progress: Progress | None = None
    ) -> StoredDataset:
        if size > MOST_BYTES:
            raise RequestRejectedError(TOO_LARGE)
        form = Form(plain_name(name), content_type, file, size)
        body = Body(cast("IO[bytes]", form), form.total, form.progress_of(on_progress))
        answer = self._client.call(
            "POST",
            f"{self._client.api}/files",
            data=body,
            headers={"Content-Type": form.content_type},
            seconds=UPLOAD_READ,
        )
        payload = answer.json()
        md5 = text(mapping(payload.get("checksums")).get("md5"))
        expires_at = time_of(text(payload.get("expires_at")))
        return StoredDataset(self._address(payload), md5.lower() if MD5.match(md5) else "", expires_at)

    def address_for(self, address: str, nonce: str) -> str:
        """The address of an upload with the nonce in its query. Raises unless the upload is still there."""
        if not file_id(address):
            raise RequestRejectedError(NOT_UPLOADED)
        url = f"{self._client.api}/files/{quote(file_id(address), safe='')}"
        current = self._address(self._client.call("GET", url).json())
        return f"{current}{'&' if '?' in current else '?'}{NONCE_NAME}{quote(nonce, safe='')}"

    def _address(self, payload: Mapping[str, Any]) -> str:
        url = mapping(payload.get("urls")).get("get")
        if not isinstance(url, str) or len(url) > MAX_ADDRESS or not is_http_url(url):
            raise missing("the address of the file")
        check_secure(url, self._client.api)
        return url


class Form:
    """A multipart form of one file, read as it is sent. `total` is its size in bytes."""

    def __init__(self, name: str, content_type: str, file: IO[bytes], size: int) -> None:
        boundary = secrets.token_hex(16)
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="content"; filename="{name}"\r\n'
            f"Content-Type: {content_type}\r\n\r\n"
        )
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self._head, self._size = head.encode(), size
        tail = f"\r\n--{boundary}--\r\n".encode()
        self.total = len(self._head) + size + len(tail)
        self._parts = [(io.BytesIO(self._head), len(self._head)), (file, size), (io.BytesIO(tail), len(tail))]

    def read(self, size: int) -> bytes:
        """The next bytes, at most so many; fewer where the file is shorter than announced."""
        blocks = []
        while size and self._parts:
            part, left = self._parts[0]
            block = part.read(min(size, left))
            if left and not block:
                break
            blocks.append(block)
            size -= len(block)
            if len(block) == left:
                self._parts.pop(0)
            else:
                self._parts[0] = part, left - len(block)
        return b"".join(blocks)

    def progress_of(self, on_progress: Progress | None) -> Progress | None:
        """Count the bytes of the file alone."""
        if on_progress is None:
            return None
        return lambda sent: on_progress(min(max(sent - len(self._head), 0), self._size))


def file_id(address: str) -> str:
    """The id of the upload that an address names; empty for every other address."""
    match = FILE.search(address.partition("?")[0])
    return match[1] if match else ""
