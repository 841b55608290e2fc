"""Run a finished model, and upload the picture to run it on (docs/provider-api.md, 13).

The vendor documents no body for a Kontext LoRA; this one is the base model's, with the `lora_strength` of
FLUX LoRAs. The answer is a bare picture by some of its pages and JSON with a URL by others: both are read.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from finetune_portal.providers.errors import (
    CallError,
    InvalidResponseError,
    ServerError,
    UnavailableError,
)
from finetune_portal.providers.http.exchange import LARGE
from finetune_portal.providers.http.image_format import image_format
from finetune_portal.providers.http.json_body import missing, parse
from finetune_portal.providers.http.values import number
from finetune_portal.providers.segmind.transport import Transport
from finetune_portal.providers.segmind.types import MAX_ADDRESS

RUN_SECONDS = 300.0  # a cold model takes minutes
UPLOAD_SECONDS = 60.0
DOWNLOAD_TRIES = 2
# The vendor takes pictures at another address than its API; every other provider at the same one.
UPLOAD_BASE_URLS = {"https://api.segmind.com": "https://workflows-api.segmind.com"}
URL_NAMES = ("image", "image_url", "output", "url", "images", "file_urls", "data")
COST_HEADER = "x-cost"  # docs/provider-api.md, 12.3
MAX_DEPTH = 4
NOT_FETCHED = "The provider made the picture, but the portal cannot download it from there."


@dataclass(frozen=True)
class RunRequest:
    """One generation. `strength` is the LoRA's: 0 is the base model. The model chooses what is None."""

    prompt: str
    input_image: str
    strength: float
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None

    def as_json(self) -> dict[str, Any]:
        optional = {"seed": self.seed, "num_inference_steps": self.steps, "guidance": self.guidance}
        return {
            "prompt": self.prompt,
            "input_image": self.input_image,
            "lora_strength": self.strength,
            "aspect_ratio": "match_input_image",
            "output_format": "png",
            **{name: value for name, value in optional.items() if value is not None},
        }


class Inference:
    """Two calls. Each may raise a CallError.

    `cost` is what the last run cost by the provider's answer, whatever became of its picture; else None.
    """

    def __init__(self, transport: Transport, base_url: str) -> None:
        self._transport = transport
        self._upload_base_url = UPLOAD_BASE_URLS.get(base_url.rstrip("/"), "")
        self.cost: float | None = None

    def upload_image(self, picture: bytes) -> str:
        """Upload a picture and return its URL at the provider. Free of charge."""
        data = f"data:image/{image_format(picture)};base64,{base64.b64encode(picture).decode()}"
        content = self._transport.call(
            "POST",
            "/upload-asset",
            base_url=self._upload_base_url,
            json={"data_urls": [data]},
            total=UPLOAD_SECONDS,
        )
        address = next(_addresses(parse(content)), "")
        if not address.startswith("http"):
            raise missing("the address of the picture")
        return address

    def run(self, slug: str, request: RunRequest) -> bytes:
        """Return the picture. Paid, so sent once; an error says whether it `may_have_been_sent`."""
        path = f"/v1/{quote(slug, safe='')}"
        self.cost = None
        try:
            content = self._transport.call(
                "POST", path, json=request.as_json(), total=RUN_SECONDS, cap=LARGE, new_connection=True
            )
        except ServerError as exc:
            pause = number(self._transport.headers.get("retry-after"))
            if exc.status == 503 and pause is not None:
                raise UnavailableError(exc.detail or exc.message, pause) from None
            raise
        self.cost = number(self._transport.headers.get(COST_HEADER))
        return content if image_format(content) else self._picture_at(_address_in(content))

    def _picture_at(self, address: str, *, tries: int = DOWNLOAD_TRIES) -> bytes:
        """Download the picture, with a second try, as it is paid already."""
        try:
            content = _data(address) or self._transport.files.get_whole(address, LARGE)
        except CallError as exc:
            if tries > 1:
                return self._picture_at(address, tries=tries - 1)
            raise InvalidResponseError(NOT_FETCHED, status=exc.status, detail=exc.detail) from None
        if not image_format(content):
            raise missing("a picture")
        return content


def _address_in(content: bytes) -> str:
    address = next(_addresses(parse(content)), "")
    if not address:
        raise missing("a picture")
    return address


def _addresses(value: Any, depth: int = 0) -> Iterator[str]:
    """The URLs and data: URIs in an answer, those under a usual name first."""
    if isinstance(value, str) and value.startswith(("https://", "http://", "data:image/")):
        is_plain = len(value) <= MAX_ADDRESS and value.isprintable() and " " not in value
        if value.startswith("data:") or is_plain:
            yield value
    elif depth < MAX_DEPTH and isinstance(value, dict):
        for name in (*URL_NAMES, *value):
            yield from _addresses(value.get(name), depth + 1)
    elif depth < MAX_DEPTH and isinstance(value, list):
        for each in value:
            yield from _addresses(each, depth + 1)


def _data(address: str) -> bytes:
    """The content of a data: URI; empty for every other address."""
    if not address.startswith("data:"):
        return b""
    try:
        return base64.b64decode(address.partition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        raise missing("a picture") from None
