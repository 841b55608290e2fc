"""Reads a dataset ZIP as the trainer would, and says what is wrong with it.

The layout is the vendor's (docs/provider-api.md, 8.1): pairs `INDEX_start.EXT` (control image) and
`INDEX_end.EXT` (target image) in one folder, with an optional caption `INDEX.txt`. Nothing in the
archive is trusted and nothing is unpacked.
"""

from __future__ import annotations

import hashlib
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path, PurePosixPath

from PIL import Image

MOST_ENTRIES = 20_000
LARGEST_DIRECTORY = 8 * 1024**2
LARGEST_UNPACKED = 20_000_000_000
LARGEST_IMAGE = 100 * 1024**2
LARGEST_CAPTION = 64 * 1024
MOST_PIXELS = 100_000_000
ZIP64 = 56 + 20  # the records that may stand before the end: larger numbers, and where they are
TAIL = ZIP64 + 22 + 0xFFFF
HEAD = 1024**2  # of an image; its size stands in its first bytes, before them at most some metadata
FORMATS = ("JPEG", "PNG", "WEBP")  # WebP under the name .jpg is in the vendor's own sample

_IMAGE = re.compile(r"(?P<index>.+)_(?P<half>start|end)\.(?:jpe?g|png)", re.IGNORECASE)
_LAYOUT = "Name them like 01_start.png and 01_end.png, with 01.txt as the caption, in one folder."

Image.MAX_IMAGE_PIXELS = None  # this module counts the pixels itself


class BrokenDataset(Exception):
    """What is wrong with a dataset, in a sentence for its owner."""


@dataclass(frozen=True)
class Dataset:
    path: Path
    sha256: str
    pairs: int


@dataclass(frozen=True)
class Pair:
    """One pair with the bytes of its images, and the words that lead from control to target."""

    name: str
    control_name: str
    control: bytes
    target_name: str
    target: bytes
    instruction: str


@dataclass
class _Pair:
    name: str
    halves: dict[str, zipfile.ZipInfo] = field(default_factory=dict)
    caption: zipfile.ZipInfo | None = None


def read(path: Path, *, instance_prompt: str) -> Dataset:
    """Check the archive at `path`; raise BrokenDataset with the first thing that is wrong."""
    _check_directory(path)
    try:
        with zipfile.ZipFile(path) as archive:
            pairs = _pairs(_files(archive))
            for pair in pairs:
                _check_pair(archive, pair, instance_prompt)
    except (zipfile.BadZipFile, UnicodeDecodeError, struct.error):
        raise BrokenDataset("The dataset is not a readable ZIP file.") from None
    except NotImplementedError:  # the ZIP asks for a later version of the format than zipfile knows
        raise BrokenDataset("The dataset is packed in an unusual way. Make the ZIP anew.") from None
    with path.open("rb") as file:
        return Dataset(path, hashlib.file_digest(file, "sha256").hexdigest(), len(pairs))


def contents(path: Path, *, instance_prompt: str) -> Iterator[Pair]:
    """The pairs of an archive that `read` has checked, one at a time."""
    with zipfile.ZipFile(path) as archive:
        for pair in _pairs(_files(archive)):
            control, target = pair.halves["start"], pair.halves["end"]
            caption = _caption(archive, pair.caption) if pair.caption else ""
            yield Pair(
                PurePosixPath(pair.name).name,
                control.filename,
                _head(archive, control, LARGEST_IMAGE),
                target.filename,
                _head(archive, target, LARGEST_IMAGE),
                caption or instance_prompt,
            )


def _check_directory(path: Path) -> None:
    """Look at the end record only, before zipfile loads the whole directory into memory."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(size - TAIL, 0))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < 22:
        raise BrokenDataset("The dataset is not a ZIP file.")
    entries, directory_size = struct.unpack_from("<HL", tail, at + 10)
    if at >= ZIP64 and tail.startswith(b"PK\x06\x06", at - ZIP64):
        entries, directory_size = struct.unpack_from("<QQ", tail, at - ZIP64 + 32)
    if entries > MOST_ENTRIES or directory_size > LARGEST_DIRECTORY:
        raise BrokenDataset(f"The dataset has more than {MOST_ENTRIES:,} files.")


def _files(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES:
        raise BrokenDataset(f"The dataset has more than {MOST_ENTRIES:,} files.")
    if sum(entry.file_size for entry in entries) > LARGEST_UNPACKED:
        raise BrokenDataset("The dataset is too large: more than 20 GB when unpacked.")
    named = [entry for entry in entries if entry.filename]  # without a name, even `is_dir` stumbles
    return [entry for entry in named if not entry.is_dir() and not _is_ignored(entry.filename)]


def _is_ignored(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") or part == "__MACOSX" for part in parts) or parts[-1:] == ("README.md",)


def _pairs(files: list[zipfile.ZipInfo]) -> list[_Pair]:
    pairs: dict[str, _Pair] = {}
    for entry in files:
        place = PurePosixPath(entry.filename)
        if match := _IMAGE.fullmatch(place.name):
            index = str(place.with_name(match["index"]))
            half = match["half"].lower()
            pair = pairs.setdefault(index, _Pair(index))
            if half in pair.halves:
                raise BrokenDataset(f"There are two images for {index}_{half}.")
            pair.halves[half] = entry
    if not pairs:
        raise BrokenDataset(f"The dataset holds no image pairs. {_LAYOUT}")
    for entry in files:
        place = PurePosixPath(entry.filename)
        if place.suffix.lower() == ".txt" and (captioned := pairs.get(str(place.with_suffix("")))):
            captioned.caption = entry
    return [pairs[index] for index in sorted(pairs)]


def _check_pair(archive: zipfile.ZipFile, pair: _Pair, instance_prompt: str) -> None:
    for half, partner in (("start", "end"), ("end", "start")):
        if half not in pair.halves:
            there = pair.halves[partner].filename
            raise BrokenDataset(f"{there} has no partner: {pair.name}_{half} is missing in the same folder.")
    for entry in pair.halves.values():
        _check_image(archive, entry)
    caption = _caption(archive, pair.caption) if pair.caption else ""
    if not caption and not instance_prompt:
        raise BrokenDataset(f"The pair {pair.name} has no caption, and the job has no instance prompt.")


def _check_image(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    if entry.file_size > LARGEST_IMAGE:
        raise BrokenDataset(f"{entry.filename} is too large: more than 100 MiB.")
    head = _head(archive, entry, HEAD)
    try:
        with Image.open(BytesIO(head), formats=FORMATS) as image:
            width, height = image.size
    except (OSError, SyntaxError, ValueError, struct.error):
        raise BrokenDataset(f"{entry.filename} is not a readable JPEG or PNG image.") from None
    if width * height > MOST_PIXELS:
        raise BrokenDataset(f"{entry.filename} is too large: {width} x {height} pixels.")


def _caption(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str:
    if entry.file_size > LARGEST_CAPTION:
        raise BrokenDataset(f"The caption {entry.filename} is too long: more than 64 KiB.")
    try:
        text = _head(archive, entry, LARGEST_CAPTION).decode("utf-8-sig")  # the vendor's own start with a BOM
    except UnicodeDecodeError:
        text = "\x00"
    if "\x00" in text:
        raise BrokenDataset(f"The caption {entry.filename} is not UTF-8 text.")
    return text.strip()


def _head(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, length: int) -> bytes:
    if entry.flag_bits & 0x1:
        raise BrokenDataset(f"{entry.filename} is encrypted. Make the ZIP without a password.")
    try:
        with archive.open(entry) as file:
            return file.read(length)
    except NotImplementedError:
        raise BrokenDataset(f"{entry.filename} is packed in an unusual way. Make the ZIP anew.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError):
        raise BrokenDataset(f"{entry.filename} is damaged in the ZIP.") from None
