"""Upload files to fal's CDN, and sign their addresses anew (docs/provider-fal.md, 4).

The key only buys a token; the CDN sees the token alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import IO, Any

import requests

from finetune_portal.providers.contract import StoredDataset
from finetune_portal.providers.errors import InvalidResponseError
from finetune_portal.providers.fal.client import Client
from finetune_portal.providers.fal.handles import MAX_ADDRESS
from finetune_portal.providers.http.answer import Answer
from finetune_portal.providers.http.exchange import Body
from finetune_portal.providers.http.files import UPLOAD_READ, plain_name
from finetune_portal.providers.http.json_body import missing
from finetune_portal.providers.http.session import Session
from finetune_portal.providers.http.storage_errors import storage_error
from finetune_portal.providers.http.url_checks import check_secure, is_http_url
from finetune_portal.providers.http.values import text

MIB = 1024 * 1024
SIGNED_FOR = 7 * 24 * 3600  # seconds, the most that fal signs for
SPREAD = 24 * 3600
NOT_FRESH = "fal signed the same address again, so the dataset is uploaded anew."

Progress = Callable[[int], None]


class Storage:
    """Files of one account. Above `multipart_above` bytes a file goes in parts of `part_size`."""

    def __init__(self, client: Client, multipart_above: int = 100 * MIB, part_size: int = 10 * MIB) -> None:
        self._client = client
        self.multipart_above, self.part_size = multipart_above, part_size

    def put(
        self,
        name: str,
        content_type: str,
        file: IO[bytes],
        size: int,
        keep: timedelta,
        on_progress: Progress | None = None,
    ) -> StoredDataset:
        """Upload a file, which fal deletes after `keep`. Raises a StorageError where the CDN refuses it."""
        headers = {
            "Authorization": self._token(),
            "Content-Type": content_type,
            "X-Fal-File-Name": plain_name(name),
            "X-Fal-Object-Lifecycle": lifecycle(keep),
        }
        expires_at = datetime.now(UTC) + keep
        with Session(self._client.cdn, self._client.dial) as session:
            put = self._put_in_parts if size > self.multipart_above else self._put_whole
            address = put(session, headers, file, size, on_progress)
        return StoredDataset(address, expires_at=expires_at)

    def sign(self, address: str, nonce: str) -> str:
        """Return another address of the file, good for six days or more.

        The nonce chooses the last day's second, so two attempts are signed differently at the same moment.
        """
        spread = int.from_bytes(hashlib.sha256(nonce.encode()).digest()[:4], "big") % SPREAD
        answer = self._client.call(
            "POST",
            f"{self._client.api}/storage/files/sign",
            params={"url": address},
            json={"expiration_seconds": SIGNED_FOR - spread},
        )
        signed = self._address(answer.json().get("signed_url"))
        if signed == address:
            raise InvalidResponseError(NOT_FRESH)
        return signed

    def _token(self) -> str:
        url = f"{self._client.rest}/storage/auth/token"
        answer = self._client.call("POST", url, params={"storage_type": "fal-cdn-v3"}, json={}).json()
        token, kind = text(answer.get("token")), text(answer.get("token_type")) or "Bearer"
        if not token:
            raise missing("a token for the upload")
        return f"{kind} {token}"

    def _put_whole(
        self,
        session: Session,
        headers: Mapping[str, str],
        file: IO[bytes],
        size: int,
        on_progress: Progress | None,
    ) -> str:
        body = Body(file, size, on_progress)
        answer = self._send(session, "POST", f"{self._client.cdn}/files/upload", headers, body)
        return self._address(answer.json().get("access_url"))

    def _put_in_parts(
        self,
        session: Session,
        headers: Mapping[str, str],
        file: IO[bytes],
        size: int,
        on_progress: Progress | None,
    ) -> str:
        url = f"{self._client.cdn}/files/upload/multipart"
        answer = self._send(session, "POST", url, headers).json()
        address, upload_id = self._address(answer.get("access_url")), text(answer.get("uploadId"))
        if not upload_id:
            raise missing("the id of the upload")
        named = {name: headers[name] for name in ("Authorization", "Content-Type")}
        parts = []
        for number, start in enumerate(range(0, size, self.part_size), 1):
            body = Body(file, min(self.part_size, size - start), None)
            part = self._send(session, "PUT", f"{address}/multipart/{upload_id}/{number}", named, body)
            parts.append({"partNumber": number, "etag": part.headers.get("etag", "")})
            if on_progress:
                on_progress(min(start + self.part_size, size))
        authorized = {"Authorization": headers["Authorization"]}
        end = f"{address}/multipart/{upload_id}/complete"
        self._send(session, "POST", end, authorized, json={"parts": parts})
        return address

    def _send(
        self,
        session: Session,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Body | None = None,
        **fields: Any,
    ) -> Answer:
        request = requests.Request(method, url, headers=dict(headers), data=body, **fields)
        answer = self._client.exchange(session, request, UPLOAD_READ)
        if not answer.is_ok:
            raise storage_error(answer.status, answer.content, sending=True)
        return answer

    def _address(self, url: object) -> str:
        """Check an address that the CDN names. The token may go there, so it must be https or our own."""
        if not isinstance(url, str) or len(url) > MAX_ADDRESS or not is_http_url(url):
            raise missing("the address of the file")
        check_secure(url, self._client.cdn)
        return url


def lifecycle(keep: timedelta) -> str:
    """The value of the headers by which fal deletes a file in time."""
    return f'{{"expiration_duration_seconds": {int(keep.total_seconds())}}}'
