"""Datasets of pairs as hosted edit trainers take them: packed for a test, downloaded and judged by a fake."""

from __future__ import annotations

import base64
import io
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field

import requests
from PIL import Image

from tests.provider import PICTURE

PAIR = {"a_start.png": PICTURE, "a_end.png": PICTURE, "a.txt": b"Make it red"}
IMAGE = re.compile(
    r"(?P<root>.+)_(?:start(?P<number>\d*)|(?P<end>end))\.(?:png|jpe?g|webp|bmp|gif)", re.IGNORECASE
)
BLOCK = 1 << 16


def packed(members: Mapping[str, bytes] = PAIR) -> bytes:
    """A ZIP of these files, the same bytes at any time."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


class PairsError(Exception):
    """Why a trainer refuses a dataset: a kind in fal's words, and a sentence."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def download(address: str, most_bytes: int, headers: Mapping[str, str] | None = None) -> bytes:
    """Get a file as a trainer does: by way of redirects, up to a size; no header is sent but these."""
    if address.startswith("data:"):
        return base64.b64decode(address.partition(",")[2])
    try:
        with requests.Session() as session:
            session.trust_env = False  # a proxy of the test leads to a fake, not to its clients
            response = session.get(address, stream=True, timeout=30, headers=dict(headers or {}))
            response.raise_for_status()
            data = bytearray()
            for block in response.iter_content(BLOCK):
                data += block
                if len(data) > most_bytes:
                    raise PairsError("file_too_large", "The file is too large")
    except requests.RequestException as exc:
        raise cannot_download(type(exc).__name__) from None
    return bytes(data)


def cannot_download(reason: str) -> PairsError:
    return PairsError("file_download_error", f"Failed to download the file: {reason}")


@dataclass
class Pair:
    """What belongs to one ROOT: the numbers of its inputs, whether there is an end, and its text."""

    inputs: set[int] = field(default_factory=set)
    has_end: bool = False
    caption: str | None = None


def inputs_per_pair(data: bytes, most_inputs: int, default_caption: str | None) -> int:
    """The most input images that a pair of this ZIP has; PairsError for one that cannot be trained."""
    pairs: dict[str, Pair] = {}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for member in archive.namelist():
                _sort(pairs, archive, member)
    except zipfile.BadZipFile:
        raise PairsError("value_error", "The file is not a ZIP archive") from None
    pairs = {root: pair for root, pair in pairs.items() if pair.inputs or pair.has_end}
    if not pairs:
        raise PairsError("value_error", "No image pairs in the archive")
    for root, pair in pairs.items():
        if not pair.has_end or 1 not in pair.inputs:
            missing = "end" if 1 in pair.inputs else "start"
            raise PairsError("value_error", f"{root} has no {missing} image")
        if not (pair.caption or default_caption):
            raise PairsError("value_error", f"{root} has no caption, and there is no default_caption")
        if max(pair.inputs) > most_inputs:
            raise PairsError("value_error", f"{root} has more than {most_inputs} input images")
    return max(len(pair.inputs) for pair in pairs.values())


def _sort(pairs: dict[str, Pair], archive: zipfile.ZipFile, member: str) -> None:
    if "/" in member:
        raise PairsError("value_error", f"The archive is not flat: {member}")
    if member.endswith(".txt"):
        text = archive.read(member)
        if text.startswith(b"\xef\xbb\xbf"):
            raise PairsError("value_error", f"{member} begins with a byte order mark")
        pairs.setdefault(member[:-4], Pair()).caption = text.decode("utf-8", "replace").strip()
        return
    match = IMAGE.fullmatch(member)
    if match is None:
        raise PairsError("value_error", f"{member} is neither a start, an end nor a text")
    try:
        with Image.open(io.BytesIO(archive.read(member))) as image:
            image.verify()
    except Exception as exc:  # noqa: BLE001 - whatever Pillow raises for a foreign file
        raise PairsError("image_load_error", f"{member}: {type(exc).__name__}") from None
    pair = pairs.setdefault(match["root"], Pair())
    if match["end"]:
        pair.has_end = True
    else:
        pair.inputs.add(int(match["number"] or 1))
