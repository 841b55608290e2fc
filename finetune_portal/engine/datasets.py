"""Check a dataset ZIP and read its pairs.

The layout is the vendor's (docs/provider-api.md, 8.1): pairs `INDEX_start.EXT` (control image) and
`INDEX_end.EXT` (target image) in one folder, with an optional caption `INDEX.txt`. Nothing in the archive is
trusted, and nothing is unpacked to disk.
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

MAX_ENTRIES = 20_000
MAX_DIRECTORY = 8 * 1024**2
MAX_UNPACKED = 20_000_000_000
MAX_IMAGE = 100 * 1024**2
MAX_CAPTION = 64 * 1024
MAX_PIXELS = 100_000_000
ZIP64 = 56 + 20  # bytes of the two records that may stand before the end record
TAIL = ZIP64 + 22 + 0xFFFF
HEAD = 1024**2  # bytes of an image that are read for its size
FORMATS = ("JPEG", "PNG", "WEBP")  # WebP under the name .jpg is in the vendor's own sample

_IMAGE = re.compile(r"(?P<index>.+)_(?P<half>start|end)\.(?:jpe?g|png)", re.IGNORECASE)
_LAYOUT = "Name them like 01_start.png and 01_end.png, with 01.txt as the caption, in one folder."

Image.MAX_IMAGE_PIXELS = None  # this module counts the pixels itself


class DatasetError(Exception):
    """Says what is wrong with a dataset, in a sentence for its owner."""


@dataclass(frozen=True)
class Dataset:
    path: Path
    sha256: str
    pairs: int


@dataclass(frozen=True)
class Pair:
    """One pair: the encoded images, and the instruction that leads from control to target."""

    name: str
    control_name: str
    control: bytes
    target_name: str
    target: bytes
    instruction: str


@dataclass
class _PairMembers:
    name: str
    halves: dict[str, zipfile.ZipInfo] = field(default_factory=dict)
    caption: zipfile.ZipInfo | None = None


def check(path: Path, *, instance_prompt: str) -> Dataset:
    """Check the whole archive. Raises DatasetError at the first fault."""
    _check_directory(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = _pair_members(_files(archive))
            for pair in members:
                _check_pair(archive, pair, instance_prompt)
    except (zipfile.BadZipFile, UnicodeDecodeError, struct.error):
        raise DatasetError("The dataset is not a readable ZIP file.") from None
    except NotImplementedError:  # the ZIP asks for a later version of the format than zipfile knows
        raise DatasetError("The dataset is packed in an unusual way. Make the ZIP anew.") from None
    with path.open("rb") as file:
        return Dataset(path, hashlib.file_digest(file, "sha256").hexdigest(), len(members))


def pairs(path: Path, *, instance_prompt: str) -> Iterator[Pair]:
    """Read the pairs of an archive that `check` has accepted, one at a time."""
    with zipfile.ZipFile(path) as archive:
        for pair in _pair_members(_files(archive)):
            control, target = pair.halves["start"], pair.halves["end"]
            caption = _caption(archive, pair.caption) if pair.caption else ""
            yield Pair(
                PurePosixPath(pair.name).name,
                control.filename,
                _read(archive, control, MAX_IMAGE),
                target.filename,
                _read(archive, target, MAX_IMAGE),
                caption or instance_prompt,
            )


def _check_directory(path: Path) -> None:
    """Check the number of entries by the end record, before zipfile loads them all into memory."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(size - TAIL, 0))
        tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < 22:
        raise DatasetError("The dataset is not a ZIP file.")
    entries, directory_size = struct.unpack_from("<HL", tail, at + 10)
    if at >= ZIP64 and tail.startswith(b"PK\x06\x06", at - ZIP64):
        entries, directory_size = struct.unpack_from("<QQ", tail, at - ZIP64 + 32)
    if entries > MAX_ENTRIES or directory_size > MAX_DIRECTORY:
        raise DatasetError(f"The dataset has more than {MAX_ENTRIES:,} files.")


def _files(archive: zipfile.ZipFile) -> list[zipfile.ZipInfo]:
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise DatasetError(f"The dataset has more than {MAX_ENTRIES:,} files.")
    if sum(entry.file_size for entry in entries) > MAX_UNPACKED:
        raise DatasetError("The dataset is too large: more than 20 GB when unpacked.")
    named = [entry for entry in entries if entry.filename]  # without a name, even `is_dir` stumbles
    return [entry for entry in named if not entry.is_dir() and not _is_ignored(entry.filename)]


def _is_ignored(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") or part == "__MACOSX" for part in parts) or parts[-1:] == ("README.md",)


def _pair_members(files: list[zipfile.ZipInfo]) -> list[_PairMembers]:
    pairs: dict[str, _PairMembers] = {}
    for entry in files:
        name = PurePosixPath(entry.filename)
        if match := _IMAGE.fullmatch(name.name):
            index = str(name.with_name(match["index"]))
            half = match["half"].lower()
            pair = pairs.setdefault(index, _PairMembers(index))
            if half in pair.halves:
                raise DatasetError(f"There are two images for {index}_{half}.")
            pair.halves[half] = entry
    if not pairs:
        raise DatasetError(f"The dataset holds no image pairs. {_LAYOUT}")
    for entry in files:
        name = PurePosixPath(entry.filename)
        if name.suffix.lower() == ".txt" and (captioned := pairs.get(str(name.with_suffix("")))):
            captioned.caption = entry
    return [pairs[index] for index in sorted(pairs)]


def _check_pair(archive: zipfile.ZipFile, pair: _PairMembers, instance_prompt: str) -> None:
    for half, partner in (("start", "end"), ("end", "start")):
        if half not in pair.halves:
            present = pair.halves[partner].filename
            raise DatasetError(f"{present} has no partner: {pair.name}_{half} is missing in the same folder.")
    for entry in pair.halves.values():
        _check_image(archive, entry)
    caption = _caption(archive, pair.caption) if pair.caption else ""
    if not caption and not instance_prompt:
        raise DatasetError(f"The pair {pair.name} has no caption, and the job has no instance prompt.")


def _check_image(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    if entry.file_size > MAX_IMAGE:
        raise DatasetError(f"{entry.filename} is too large: more than 100 MiB.")
    head = _read(archive, entry, HEAD)
    try:
        with Image.open(BytesIO(head), formats=FORMATS) as image:
            width, height = image.size
    except (OSError, SyntaxError, ValueError, struct.error):
        raise DatasetError(f"{entry.filename} is not a readable JPEG or PNG image.") from None
    if width * height > MAX_PIXELS:
        raise DatasetError(f"{entry.filename} is too large: {width} x {height} pixels.")


def _caption(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> str:
    if entry.file_size > MAX_CAPTION:
        raise DatasetError(f"The caption {entry.filename} is too long: more than 64 KiB.")
    try:
        text = _read(archive, entry, MAX_CAPTION).decode("utf-8-sig")  # the vendor's own start with a BOM
    except UnicodeDecodeError:
        text = "\x00"
    if "\x00" in text:
        raise DatasetError(f"The caption {entry.filename} is not UTF-8 text.")
    return text.strip()


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, length: int) -> bytes:
    if entry.flag_bits & 0x1:
        raise DatasetError(f"{entry.filename} is encrypted. Make the ZIP without a password.")
    try:
        with archive.open(entry) as file:
            return file.read(length)
    except NotImplementedError:
        raise DatasetError(f"{entry.filename} is packed in an unusual way. Make the ZIP anew.") from None
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError):
        raise DatasetError(f"{entry.filename} is damaged in the ZIP.") from None
