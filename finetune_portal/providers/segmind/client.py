"""One typed method for each endpoint of the Flux Kontext fine-tuning API, and one for the balance.

Sends exactly what docs/provider-api.md shows: a JSON body on two GETs, a multipart form on a PUT and a GET.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import IO, Any, cast
from urllib.parse import parse_qs, urlsplit

from finetune_portal.providers.errors import CallError
from finetune_portal.providers.http.exchange import LARGE, Body
from finetune_portal.providers.http.files import Files, FileSlice, StoredObject
from finetune_portal.providers.http.json_body import missing, parse
from finetune_portal.providers.http.session import Dial
from finetune_portal.providers.http.url_checks import is_http_url
from finetune_portal.providers.http.values import number, text
from finetune_portal.providers.segmind.extension import Extension
from finetune_portal.providers.segmind.inference import Inference
from finetune_portal.providers.segmind.transport import Transport
from finetune_portal.providers.segmind.types import (
    MAX_ADDRESS,
    Credits,
    FineTune,
    PresignedUpload,
    SubmitRequest,
    Submitted,
    ids_in,
)

ADDRESSES = {"api": "https://api.segmind.com"}
KEEPS = (  # of a job that the portal deletes (docs/provider-api.md, 12)
    "Segmind keeps the dataset, the job and its model: it has no call to delete them. Ask its support to."
)
SUBMIT_SECONDS = 90.0


class SegmindClient:
    """Call one provider with one key. Every method may raise a CallError. One client per thread.

    `max_seconds` shortens the longest wait for an answer. `dial` connects to the hosts that answers name for
    files and may refuse one; it is not asked about the provider's own. `inference` runs finished models.
    `extension` has the calls of an engine beyond this API.
    """

    def __init__(
        self, base_url: str, api_key: str, *, max_seconds: float = math.inf, dial: Dial | None = None
    ) -> None:
        self._transport = Transport(base_url, api_key, max_seconds, dial)
        self.extension = Extension(self._transport)
        self.inference = Inference(self._transport, base_url)

    @property
    def last_headers(self) -> Mapping[str, str]:
        """The headers of the last answer, names in lower case, such as those of the rate limit."""
        return self._transport.headers

    def call_with_headers(self, on_headers: Callable[[Mapping[str, str]], None]) -> None:
        """Have this called with the headers of each answer but a 429, names in lower case."""
        self._transport.on_headers = on_headers

    @property
    def files(self) -> Files:
        """The files behind links of the provider."""
        return self._transport.files

    def close(self) -> None:
        """Close the connection that is kept open. The next call opens another."""
        self._transport.close()

    def submit(self, request: SubmitRequest) -> Submitted:
        """Start a paid training (docs/provider-api.md, 1). Errors carry `may_have_been_sent`."""
        content = self._transport.call(
            "POST",
            "/finetune/request/submit",
            json=request.as_json(),
            total=SUBMIT_SECONDS,
            new_connection=True,
            for_new_job=True,
        )
        answer = _object(content)
        ids = ids_in(answer)
        if not ids:
            raise missing("an id")
        return Submitted(ids[0], text(answer.get("status")) or "REQUESTED", text(answer.get("name")))

    def details(self, request_id: str) -> FineTune:
        """One training in full (docs/provider-api.md, 2). Raises GoneError if the provider has none."""
        path = "/finetune/request/details"
        answer = _object(self._transport.call("GET", path, json={"request_id": request_id}, for_job=True))
        inner = answer.get("finetune")
        finetune = FineTune.from_json(inner if isinstance(inner, dict) else answer)
        if finetune is None:
            raise missing("an id")
        return finetune

    def list(self) -> list[FineTune]:
        """All trainings of the account (docs/provider-api.md, 3); items without an id are left out."""
        answer = parse(self._transport.call("GET", "/finetune/request/list", cap=LARGE))
        if isinstance(answer, dict):
            lists = [value for value in answer.values() if isinstance(value, list)]
            answer = list(chain.from_iterable(lists)) if lists else None
        if not isinstance(answer, list):
            raise missing("a list")
        trainings = (FineTune.from_json(item) for item in answer if isinstance(item, dict))
        return [training for training in trainings if training is not None]

    def presigned_url(self, name: str) -> PresignedUpload:
        """A new URL for an upload (docs/provider-api.md, 4)."""
        path = "/finetune/request/upload/pre-signed-url"
        answer = _object(self._transport.call("GET", path, json={"name": name}, for_new_job=True))
        url, s3_url = answer.get("presigned_url"), answer.get("s3_url")
        if not (
            isinstance(url, str) and isinstance(s3_url, str) and is_http_url(url) and is_http_url(s3_url)
        ):
            raise missing("the two addresses")
        if len(s3_url) > MAX_ADDRESS:
            raise missing("an address of a usual length")
        return PresignedUpload(url, s3_url)

    def upload(
        self,
        presigned_url: str,
        file: IO[bytes],
        size: int,
        on_progress: Callable[[int], None] | None = None,
    ) -> StoredObject:
        """PUT the bare file of `size` bytes with no header that the URL does not sign."""
        body = cast(IO[bytes], Body(file, size, on_progress))
        signed = parse_qs(urlsplit(presigned_url).query).get("X-Amz-SignedHeaders", [""])[0]
        headers = {"Content-Type": "application/zip"} if "content-type" in signed.split(";") else {}
        return self._transport.files.put(presigned_url, body, headers)

    def set_public(self, request_id: str, *, public: bool) -> None:
        """Publish a model or make it private (docs/provider-api.md, 5). Any 2xx means done."""
        form = {"request_id": (None, request_id), "segmind_public": (None, str(public))}
        self._transport.call("PUT", "/finetune/request/access-update", files=form, for_job=True)

    def download_url(self, cloud_storage_url: str) -> str:
        """A link to the `.safetensors`, valid for one hour (docs/provider-api.md, 6)."""
        form = {"cloud_storage_url": (None, cloud_storage_url)}
        content = self._transport.call("GET", "/finetune/request/file/download", files=form)
        url = _bare_url(content)
        if not is_http_url(url):
            raise missing("a link")
        self._transport.files.check_secure(url)
        return url

    def check_file(self, signed_url: str) -> None:
        """Check that the file of such a link is there. Raises StorageError, with `is_gone` if it is not."""
        self._transport.files.check(signed_url)

    def fetch(self, signed_url: str) -> Iterator[bytes]:
        """Download the file of such a link, block by block."""
        return self._transport.files.get(signed_url)

    def fetch_slice(self, signed_url: str, start: int, end: int) -> FileSlice:
        """Download a part of the file of such a link: the bytes from `start` to before `end`."""
        return self._transport.files.get_slice(signed_url, start, end)

    def credits(self) -> Credits:
        """The account's balance (docs/provider-api.md, 11.3). Free of charge."""
        answer = _object(self._transport.call("GET", "/v1/get-user-credits"))
        balance = number(answer.get("credits"))
        if balance is None:
            raise missing("credits")
        return Credits(balance, number(answer.get("free-credits")) or 0.0)


def _object(content: bytes) -> dict[str, Any]:
    answer = parse(content)
    if not isinstance(answer, dict):
        raise missing("an object")
    return answer


def _bare_url(content: bytes) -> str:
    """The vendor documents bare text; a JSON string or an object with a URL is accepted, too."""
    plain = content.decode("utf-8-sig", "replace").strip()
    try:
        answer = parse(content)
    except CallError:
        return plain
    if isinstance(answer, dict):
        answer = next((v for v in answer.values() if isinstance(v, str) and is_http_url(v)), "")
    return answer.strip() if isinstance(answer, str) else ""
