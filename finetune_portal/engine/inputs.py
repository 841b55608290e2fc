"""Finds the picture that an `input_image` names: a data: URI, one that was hosted here, or a public URL."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import struct
import time
from io import BytesIO
from pathlib import Path

from PIL import Image

from finetune_portal.engine import fetch
from finetune_portal.engine.atomic_write import write_atomically
from finetune_portal.engine.datasets import FORMATS
from finetune_portal.engine.storage import keys

LARGEST = 12 * 1024**2
MOST_PIXELS = 50_000_000
SILENCE_SECONDS = 20.0
ALTOGETHER_SECONDS = 60.0
BLOCK = 64 * 1024
DATA = re.compile(r"data:image/[a-z.+-]+;base64,", re.IGNORECASE)


class BadInput(Exception):
    """What is wrong with the picture, in a sentence."""


def read(address: str, *, storage: Path, allow: fetch.Allow) -> bytes:
    """The bytes of a picture of a known type and a bearable size."""
    if DATA.match(address):
        return of_data(address)
    key = keys.from_url(address)
    if keys.ASSET.fullmatch(key):
        path = keys.path(storage, key)
        if not path.is_file():
            raise BadInput("input_image is not hosted here any more. Upload it again.")
        return path.read_bytes()
    try:
        return _checked(_fetched(address, allow))
    except fetch.FetchFailed as failed:
        raise BadInput(f"The picture could not be fetched from input_image. {failed}") from None


def of_data(address: str) -> bytes:
    head = DATA.match(address)
    if head is None:
        raise BadInput("A data: URI must be that of a picture in base64.")
    try:
        content = base64.b64decode(address[head.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise BadInput("The base64 of the data: URI cannot be read.") from None
    if len(content) > LARGEST:
        raise BadInput("The picture is larger than 12 MiB.")
    return _checked(content)


def host(content: bytes, *, storage: Path) -> str:
    """Keep a picture; its key. The same picture has the same one."""
    key = f"assets/{hashlib.sha256(content).hexdigest()}"
    path = keys.path(storage, key)
    if not path.exists():
        with write_atomically(path) as draft:
            draft.write_bytes(content)
    return key


def _checked(content: bytes) -> bytes:
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
    except (OSError, SyntaxError, ValueError, struct.error):
        raise BadInput("The picture is not a readable JPEG, PNG or WebP.") from None
    if width * height > MOST_PIXELS:
        raise BadInput(f"The picture is too large: {width} x {height} pixels.")
    return content


def _fetched(url: str, allow: fetch.Allow) -> bytes:
    latest, content = time.monotonic() + ALTOGETHER_SECONDS, b""
    with fetch.follow("GET", url, allow=allow, timeout=SILENCE_SECONDS) as answer:
        if answer.status != 200:
            raise fetch.FetchFailed(f"GET was answered with {answer.status}.")
        while block := answer.read1(BLOCK):
            content += block
            if len(content) > LARGEST:
                raise fetch.FetchFailed("The picture is larger than 12 MiB.")
            if time.monotonic() > latest:
                raise fetch.FetchFailed("It took longer than a minute.")
    return content
