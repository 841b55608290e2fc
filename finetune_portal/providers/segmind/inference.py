"""Running a finished model, and hosting the picture that it is to be run on (docs/provider-api.md, 13).

No page shows the body for a Kontext LoRA; this is the base model's, with the `lora_strength` of FLUX LoRAs.
The answer is a bare picture by some pages, JSON with an address by others: what came decides.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from finetune_portal.providers.segmind.errors import (
    InvalidResponseError,
    SegmindError,
    ServerError,
    UnavailableError,
)
from finetune_portal.providers.segmind.reading import odd_shape, parse
from finetune_portal.providers.segmind.transport import LARGE, Transport
from finetune_portal.providers.segmind.types import MAX_ADDRESS, number

RUN_SECONDS = 300.0  # a cold model takes minutes
HOST_SECONDS = 60.0
FETCHES = 2
# The vendor hosts pictures at another address than its API; everyone else at the same one.
HOSTS = {"https://api.segmind.com": "https://workflows-api.segmind.com"}
NAMES = ("image", "image_url", "output", "url", "images", "file_urls", "data")
DEEPEST = 4
NOT_FETCHED = "The upstream made the picture, but it cannot be fetched from where it put it."


@dataclass(frozen=True)
class RunRequest:
    """One picture to make. `strength` of the LoRA: 0 is the base model."""

    prompt: str
    input_image: str
    strength: float
    seed: int
    steps: int
    guidance: float

    def as_json(self) -> dict[str, Any]:
        return {
            "prompt": self.prompt,
            "input_image": self.input_image,
            "lora_strength": self.strength,
            "seed": self.seed,
            "num_inference_steps": self.steps,
            "guidance": self.guidance,
            "aspect_ratio": "match_input_image",
            "output_format": "png",
        }


class Inference:
    """Two calls. Each may raise a SegmindError."""

    def __init__(self, transport: Transport, base_url: str) -> None:
        self._transport = transport
        self._host = HOSTS.get(base_url.rstrip("/"), "")

    def host(self, picture: bytes) -> str:
        """Where the upstream itself finds this picture from now on. Free of charge."""
        data = f"data:image/{kind_of(picture)};base64,{base64.b64encode(picture).decode()}"
        content = self._transport.call(
            "POST", "/upload-asset", at=self._host, json={"data_urls": [data]}, total=HOST_SECONDS
        )
        address = next(_addresses(parse(content)), "")
        if not address.startswith("http"):
            raise odd_shape("the address of the picture")
        return address

    def run(self, slug: str, request: RunRequest) -> bytes:
        """The picture. Paid, and sent once; `may_have_been_sent` of an error tells the rest."""
        path = f"/v1/{quote(slug, safe='')}"
        try:
            content = self._transport.call(
                "POST", path, json=request.as_json(), total=RUN_SECONDS, cap=LARGE, fresh=True
            )
        except ServerError as exc:
            pause = number(self._transport.headers.get("retry-after"))
            if exc.status == 503 and pause is not None:
                raise UnavailableError(exc.detail or exc.message, pause) from None
            raise
        return content if kind_of(content) else self._picture_at(_address_in(content))

    def _picture_at(self, address: str, *, tries: int = FETCHES) -> bytes:
        """It is paid by now, so it is worth more than one try."""
        try:
            found = _data(address) or self._transport.get_whole(address, LARGE)
        except SegmindError as exc:
            if tries > 1:
                return self._picture_at(address, tries=tries - 1)
            raise InvalidResponseError(NOT_FETCHED, status=exc.status, detail=exc.detail) from None
        if not kind_of(found):
            raise odd_shape("a picture")
        return found


def kind_of(content: bytes) -> str:
    """png, jpeg or webp, by the first bytes; empty for all else."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if content.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    return "webp" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else ""


def _address_in(content: bytes) -> str:
    address = next(_addresses(parse(content)), "")
    if not address:
        raise odd_shape("a picture")
    return address


def _addresses(told: Any, depth: int = 0) -> Iterator[str]:
    """The web addresses and data: URIs in an answer, those under a usual name first."""
    if isinstance(told, str) and told.startswith(("https://", "http://", "data:image/")):
        if told.startswith("data:") or (len(told) <= MAX_ADDRESS and told.isprintable() and " " not in told):
            yield told
    elif depth < DEEPEST and isinstance(told, dict):
        for name in (*NAMES, *told):
            yield from _addresses(told.get(name), depth + 1)
    elif depth < DEEPEST and isinstance(told, list):
        for each in told:
            yield from _addresses(each, depth + 1)


def _data(address: str) -> bytes:
    """What a data: URI holds; empty for all that is none."""
    if not address.startswith("data:"):
        return b""
    try:
        return base64.b64decode(address.partition(",")[2], validate=True)
    except (binascii.Error, ValueError):
        raise odd_shape("a picture") from None
