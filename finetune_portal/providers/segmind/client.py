"""One typed method for each endpoint of the Flux Kontext fine-tuning API, and one for the balance.

Sends just what docs/provider-api.md shows: a JSON body on two GETs, a multipart form on a PUT and on a GET.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, cast
from urllib.parse import parse_qs, urlsplit

from finetune_portal.providers.segmind.addresses import is_web
from finetune_portal.providers.segmind.errors import SegmindError
from finetune_portal.providers.segmind.extra import Extra
from finetune_portal.providers.segmind.inference import Inference
from finetune_portal.providers.segmind.reading import odd_shape, parse
from finetune_portal.providers.segmind.transport import LARGE, Body, Transport
from finetune_portal.providers.segmind.types import (
    MAX_ADDRESS,
    Credits,
    FineTune,
    PresignedUpload,
    SubmitRequest,
    Submitted,
    ids_in,
    number,
    text,
)

SUBMIT_SECONDS = 90.0


class SegmindClient:
    """Calls one upstream with one key. Every method may raise a SegmindError. One client per thread.

    `max_seconds` shortens the longest wait for an answer. `inference` runs what was trained.
    `extra` is what an engine can beyond this API.
    """

    def __init__(self, base_url: str, api_key: str, *, max_seconds: float = math.inf) -> None:
        self._transport = Transport(base_url, api_key, max_seconds)
        self.extra = Extra(self._transport)
        self.inference = Inference(self._transport, base_url)

    @property
    def last_headers(self) -> Mapping[str, str]:
        """The headers of the last answer, names in lower case: rate limits, remaining credits."""
        return self._transport.headers

    def close(self) -> None:
        """Close the connection that is kept. The next call opens another."""
        self._transport.close()

    def submit(self, request: SubmitRequest) -> Submitted:
        """Start a paid training (docs/provider-api.md, 1). Errors carry `may_have_been_sent`."""
        content = self._transport.call(
            "POST", "/finetune/request/submit", json=request.as_json(), total=SUBMIT_SECONDS, fresh=True
        )
        told = _object(content)
        ids = ids_in(told)
        if not ids:
            raise odd_shape("an id")
        return Submitted(ids[0], text(told.get("status")) or "REQUESTED", text(told.get("name")))

    def details(self, request_id: str) -> FineTune:
        """All that is known of one training (docs/provider-api.md, 2)."""
        path = "/finetune/request/details"
        told = _object(self._transport.call("GET", path, json={"request_id": request_id}))
        inner = told.get("finetune")
        finetune = FineTune.from_json(inner if isinstance(inner, dict) else told)
        if finetune is None:
            raise odd_shape("an id")
        return finetune

    def list(self) -> list[FineTune]:
        """All trainings of the account (docs/provider-api.md, 3); items that have no id are left out."""
        told = parse(self._transport.call("GET", "/finetune/request/list", cap=LARGE))
        if isinstance(told, dict):
            lists = [value for value in told.values() if isinstance(value, list)]
            told = sum(lists, []) if lists else None
        if not isinstance(told, list):
            raise odd_shape("a list")
        items = (FineTune.from_json(item) for item in told if isinstance(item, dict))
        return [item for item in items if item is not None]

    def presigned_url(self, name: str) -> PresignedUpload:
        """A fresh address for an upload (docs/provider-api.md, 4)."""
        path = "/finetune/request/upload/pre-signed-url"
        told = _object(self._transport.call("GET", path, json={"name": name}))
        url, s3_url = told.get("presigned_url"), told.get("s3_url")
        if not (isinstance(url, str) and isinstance(s3_url, str) and is_web(url) and is_web(s3_url)):
            raise odd_shape("the two addresses")
        if len(s3_url) > MAX_ADDRESS:
            raise odd_shape("an address of a usual length")
        return PresignedUpload(url, s3_url)

    def upload(
        self,
        presigned_url: str,
        file: IO[bytes],
        size: int,
        on_progress: Callable[[int], None] | None = None,
    ) -> str:
        """PUT the bare file, `size` bytes, with no header that the URL did not sign. Answers the ETag."""
        body = cast(IO[bytes], Body(file, size, on_progress))
        signed = parse_qs(urlsplit(presigned_url).query).get("X-Amz-SignedHeaders", [""])[0]
        headers = {"Content-Type": "application/zip"} if "content-type" in signed.split(";") else {}
        return self._transport.put_file(presigned_url, body, headers)

    def set_public(self, request_id: str, *, public: bool) -> None:
        """Publish a model or make it private (docs/provider-api.md, 5). Any 2xx means done."""
        form = {"request_id": (None, request_id), "segmind_public": (None, str(public))}
        self._transport.call("PUT", "/finetune/request/access-update", files=form)

    def download_url(self, cloud_storage_url: str) -> str:
        """A link to the `.safetensors`, good for one hour (docs/provider-api.md, 6)."""
        form = {"cloud_storage_url": (None, cloud_storage_url)}
        content = self._transport.call("GET", "/finetune/request/file/download", files=form)
        url = _bare_url(content)
        if not is_web(url):
            raise odd_shape("a link")
        self._transport.check_way(url)
        return url

    def fetch(self, signed_url: str) -> Iterator[bytes]:
        """What such a link leads to, piece by piece."""
        return self._transport.get_file(signed_url)

    def credits(self) -> Credits:
        """The account's balance (docs/provider-api.md, 11.3). Free of charge."""
        told = _object(self._transport.call("GET", "/v1/get-user-credits"))
        balance = number(told.get("credits"))
        if balance is None:
            raise odd_shape("credits")
        return Credits(balance, number(told.get("free-credits")) or 0.0)


def _object(content: bytes) -> dict[str, Any]:
    told = parse(content)
    if not isinstance(told, dict):
        raise odd_shape("an object")
    return told


def _bare_url(content: bytes) -> str:
    """The page shows bare text; a JSON string or an object with a URL is taken too."""
    plain = content.decode("utf-8-sig", "replace").strip()
    try:
        told = parse(content)
    except SegmindError:
        return plain
    if isinstance(told, dict):
        told = next((v for v in told.values() if isinstance(v, str) and is_web(v)), "")
    return told.strip() if isinstance(told, str) else ""
