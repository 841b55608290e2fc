"""Load the image that an `input_image` names: a data: URI, an image hosted here, or a public URL."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import time
from pathlib import Path

from finetune_portal.engine import fetch, room
from finetune_portal.engine.images.decoder import Decoder
from finetune_portal.engine.images.errors import ImageError
from finetune_portal.engine.storage import keys

MAX_BYTES = 12 * 1024**2
MAX_PIXELS = 50_000_000
SILENCE_SECONDS = 20.0
TOTAL_SECONDS = 60.0
BLOCK = 64 * 1024
DATA_URI = re.compile(r"data:image/[a-z.+-]+;base64,", re.IGNORECASE)


class InputImageError(Exception):
    """Says what is wrong with the image, in a sentence."""


def load(address: str, *, storage: Path, allow: fetch.Allow, decoder: Decoder) -> bytes:
    """The bytes of an image of a known type, within MAX_BYTES and MAX_PIXELS.

    Raises InputImageError and DecoderUnavailableError.
    """
    if DATA_URI.match(address):
        return decode_data_uri(address, storage=storage, decoder=decoder)
    key = keys.from_url(address)
    if keys.ASSET.fullmatch(key):
        path = keys.path(storage, key)
        if not path.is_file():
            raise InputImageError("input_image is not hosted here any more. Upload it again.")
        return path.read_bytes()
    try:
        content = _fetch(address, allow)
    except fetch.FetchError as error:
        raise InputImageError(f"The picture could not be fetched from input_image. {error}") from None
    return _check(content, storage, decoder)


def decode_data_uri(address: str, *, storage: Path, decoder: Decoder) -> bytes:
    """The bytes of the image in a data: URI. Raises as `load` does."""
    prefix = DATA_URI.match(address)
    if prefix is None:
        raise InputImageError("A data: URI must be that of a picture in base64.")
    try:
        content = base64.b64decode(address[prefix.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise InputImageError("The base64 of the data: URI cannot be read.") from None
    if len(content) > MAX_BYTES:
        raise InputImageError("The picture is larger than 12 MiB.")
    return _check(content, storage, decoder)


def host(content: bytes, *, storage: Path) -> str:
    """Store an image and return its key. Equal images have one key."""
    key = _key(content)
    path = keys.path(storage, key)
    if not path.exists():
        with room.write_announced(path, len(content)) as file:
            file.write(content)
    return key


def _key(content: bytes) -> str:
    return f"assets/{hashlib.sha256(content).hexdigest()}"


def _check(content: bytes, storage: Path, decoder: Decoder) -> bytes:
    """Decode the image, unless it is hosted here: then it was decoded when it came."""
    if not keys.path(storage, _key(content)).is_file():
        try:
            decoder.check(content, max_pixels=MAX_PIXELS)
        except ImageError as error:
            raise InputImageError(f"The picture {error}") from None
    return content


def _fetch(url: str, allow: fetch.Allow) -> bytes:
    deadline, content = time.monotonic() + TOTAL_SECONDS, b""
    with fetch.follow("GET", url, allow=allow, timeout=SILENCE_SECONDS) as response:
        if response.status != 200:
            raise fetch.FetchError(f"GET was answered with {response.status}.")
        while block := response.read1(BLOCK):
            content += block
            if len(content) > MAX_BYTES:
                raise fetch.FetchError("The picture is larger than 12 MiB.")
            if time.monotonic() > deadline:
                raise fetch.FetchError("It took longer than a minute.")
    return content
