"""Check a dataset ZIP and read its pairs.

The layout is the vendor's (docs/provider-api.md, 8.1): pairs `INDEX_start.EXT` (control image) and
`INDEX_end.EXT` (target image) in one folder, with an optional caption `INDEX.txt`, in small letters or
capitals. Nothing in the archive is trusted, and nothing is unpacked to disk. `check` has every image decoded
to its end, so that no training begins that a damaged file ends later. Further input images are
`INDEX_start2.EXT` and so on; more of them than the base model takes are refused.
"""

from __future__ import annotations

import hashlib
import lzma
import re
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from finetune_portal.engine.images.errors import ImageError

MAX_ENTRIES = 20_000
MAX_DIRECTORY = 8 * 1024**2
MAX_UNPACKED = 20_000_000_000
MAX_IMAGE = 100 * 1024**2
MAX_CAPTION = 64 * 1024
ZIP64 = 56 + 20  # bytes of the two records that may stand before the end record
TAIL = ZIP64 + 22 + 0xFFFF
UTF8_FLAG = 0x800

_ENDINGS = "p?jpe?g|jpe|jfif|jif|pjp|mpo|a?png|webp"  # whatever the name says, the content decides
_IMAGE = re.compile(
    rf"(?P<index>.+)_(?P<half>start(?P<number>[2-9]|[1-9][0-9])?|end)\.(?:{_ENDINGS})",
    re.IGNORECASE | re.DOTALL,
)
_LAYOUT = "Name them like 01_start.png and 01_end.png, with 01.txt as the caption, in one folder."


class DatasetError(Exception):
    """Says what is wrong with a dataset, in a sentence for its owner."""


@dataclass(frozen=True)
class Dataset:
    path: Path
    sha256: str
    pairs: int


@dataclass(frozen=True)
class Pair:
    """One pair: the encoded images, and the instruction that leads from the controls to the target."""

    name: str
    controls: tuple[Image, ...]  # the first is what is edited
    target: Image
    instruction: str


@dataclass(frozen=True)
class Image:
    """An image as it is in the archive."""

    name: str
    content: bytes


@dataclass(frozen=True)
class _File:
    """A file in the ZIP, and its name as people read it."""

    entry: zipfile.ZipInfo
    name: str


@dataclass
class _PairFiles:
    name: str
    halves: dict[str, _File] = field(default_factory=dict)
    caption: _File | None = None

    @property
    def controls(self) -> list[_File]:
        """The input images, by their numbers."""
        starts = (half for half in self.halves if half != "end")
        return [self.halves[half] for half in sorted(starts, key=lambda half: (len(half), half))]


def check(
    path: Path,
    *,
    instance_prompt: str,
    check_image: Callable[[bytes], None],
    most_inputs: int = 1,
    check_in: Callable[[], None] = lambda: None,
) -> Dataset:
    """Check the whole archive. Raises DatasetError at the first fault.

    `most_inputs`: how many input images a pair may have. `check_image` decodes an image and raises
    ImageError. `check_in` is called before each pair, and raises when the work is to end.
    """
    _check_directory(path)
    try:
        with zipfile.ZipFile(path) as archive:
            files = _files(archive)
            _check_inputs(files, most_inputs)
            pair_files = _pair_files(files)
            for pair in pair_files:
                check_in()
                _check_pair(archive, pair, instance_prompt, check_image)
    except (zipfile.BadZipFile, UnicodeDecodeError, struct.error):
        raise DatasetError("The dataset is not a readable ZIP file.") from None
    except NotImplementedError:  # the ZIP asks for a later version of the format than zipfile knows
        raise DatasetError("The dataset is packed in an unusual way. Make the ZIP anew.") from None
    with path.open("rb") as file:
        return Dataset(path, hashlib.file_digest(file, "sha256").hexdigest(), len(pair_files))


@contextmanager
def opened(path: Path, *, sha256: str) -> Iterator[BinaryIO]:
    """Open an archive that `check` has accepted. Raises DatasetError if the file was replaced since.

    Who uploaded it may upload another one to the same address, whose images no decoder has passed.
    """
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
            raise DatasetError("The dataset was replaced after it was checked. Start a new job with it.")
        yield file


def pairs(file: Path | BinaryIO, *, instance_prompt: str) -> Iterator[Pair]:
    """Read the pairs of an archive that `check` has accepted, one at a time."""
    with zipfile.ZipFile(file) as archive:
        for pair in _pair_files(_files(archive)):
            caption = _caption(archive, pair.caption) if pair.caption else ""
            yield Pair(
                PurePosixPath(pair.name).name,
                tuple(_image(archive, each) for each in pair.controls),
                _image(archive, pair.halves["end"]),
                caption or instance_prompt,
            )


def instructions(file: Path | BinaryIO, *, instance_prompt: str) -> list[str]:
    """The instruction of each pair of `pairs`, in its order, without reading an image."""
    with zipfile.ZipFile(file) as archive:
        captions = [pair.caption for pair in _pair_files(_files(archive))]
        return [(_caption(archive, each) if each else "") or instance_prompt for each in captions]


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


def _files(archive: zipfile.ZipFile) -> list[_File]:
    entries = archive.infolist()
    if len(entries) > MAX_ENTRIES:
        raise DatasetError(f"The dataset has more than {MAX_ENTRIES:,} files.")
    if sum(entry.file_size for entry in entries) > MAX_UNPACKED:
        raise DatasetError("The dataset is too large: more than 20 GB when unpacked.")
    named = [entry for entry in entries if entry.filename]  # without a name, even `is_dir` stumbles
    files = [_File(entry, _readable_name(entry)) for entry in named if not entry.is_dir()]
    return [file for file in files if not _is_ignored(file.name)]


def _readable_name(entry: zipfile.ZipInfo) -> str:
    """The name by which files of a pair meet: equal for equal text, whichever way it was written.

    macOS writes letters and their accents apart. Many programs write UTF-8 and do not set its flag. A name in
    a code page of old stays as zipfile reads it: not readable, but equal where the bytes are.
    """
    name = entry.filename
    if not entry.flag_bits & UTF8_FLAG:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode("utf-8")
    return unicodedata.normalize("NFC", name)


def _is_ignored(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") or part == "__MACOSX" for part in parts) or parts[-1:] == ("README.md",)


def _check_inputs(files: list[_File], most: int) -> None:
    for file in files:
        match = _IMAGE.fullmatch(PurePosixPath(file.name).name)
        if match and int(match["number"] or 1) > most:
            raise DatasetError(
                f"{file.name} is a further input image of a pair, and this base model is trained with "
                f"{'one' if most == 1 else f'at most {most}'}. "
                "Leave such images out, or train where more are taken."
            )


def _pair_files(files: list[_File]) -> list[_PairFiles]:
    pairs: dict[str, _PairFiles] = {}
    for file in files:
        path = PurePosixPath(file.name)
        if match := _IMAGE.fullmatch(path.name):
            index = str(path.with_name(match["index"]))
            half = match["half"].lower()
            pair = pairs.setdefault(index.casefold(), _PairFiles(index))
            if half in pair.halves:
                raise DatasetError(f"There are two images for {index}_{half}.")
            pair.halves[half] = file
    if not pairs:
        raise DatasetError(f"The dataset holds no image pairs. {_LAYOUT}")
    for file in files:
        path = PurePosixPath(file.name)
        if path.suffix.lower() == ".txt" and (captioned := pairs.get(str(path.with_suffix("")).casefold())):
            captioned.caption = file
    return [pairs[index] for index in sorted(pairs)]


def _check_pair(
    archive: zipfile.ZipFile, pair: _PairFiles, instance_prompt: str, check_image: Callable[[bytes], None]
) -> None:
    starts = ["start", *(f"start{number}" for number in range(2, len(pair.controls) + 1))]
    for half in (*starts, "end"):
        if half not in pair.halves:
            present = next(iter(pair.halves.values())).name
            raise DatasetError(f"{present} has no partner: {pair.name}_{half} is missing in the same folder.")
    for file in pair.halves.values():
        _check_image(archive, file, check_image)
    caption = _caption(archive, pair.caption) if pair.caption else ""
    if not caption and not instance_prompt:
        raise DatasetError(f"The pair {pair.name} has no caption, and the job has no instance prompt.")


def _image(archive: zipfile.ZipFile, file: _File) -> Image:
    return Image(file.name, _read(archive, file, MAX_IMAGE))


def _check_image(archive: zipfile.ZipFile, file: _File, check_image: Callable[[bytes], None]) -> None:
    if file.entry.file_size > MAX_IMAGE:
        raise DatasetError(f"{file.name} is too large: more than 100 MiB.")
    content = _read(archive, file, MAX_IMAGE)
    try:
        check_image(content)
    except ImageError as error:
        raise DatasetError(f"{file.name} {error}") from None


def _caption(archive: zipfile.ZipFile, file: _File) -> str:
    if file.entry.file_size > MAX_CAPTION:
        raise DatasetError(f"The caption {file.name} is too long: more than 64 KiB.")
    try:
        text = _read(archive, file, MAX_CAPTION).decode("utf-8-sig")  # the vendor's own start with a BOM
    except UnicodeDecodeError:
        text = "\x00"
    if "\x00" in text:
        raise DatasetError(f"The caption {file.name} is not UTF-8 text.")
    return text.strip()


def _read(archive: zipfile.ZipFile, file: _File, length: int) -> bytes:
    if file.entry.flag_bits & 0x1:
        raise DatasetError(f"{file.name} is encrypted. Make the ZIP without a password.")
    try:
        _accept_local_flag(archive, file.entry)
        with archive.open(file.entry) as stream:
            return stream.read(length)
    except NotImplementedError:
        raise DatasetError(f"{file.name} is packed in an unusual way. Make the ZIP anew.") from None
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, UnicodeError):
        raise DatasetError(f"{file.name} is damaged in the ZIP.") from None


def _accept_local_flag(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Let zipfile compare the bytes of a name where only the UTF-8 flags of its two headers differ."""
    stream = archive.fp
    if stream is None or entry.orig_filename.isascii():
        return
    stream.seek(entry.header_offset + 6)
    local_flags = int.from_bytes(stream.read(2), "little")
    listed, local = ("utf-8" if flags & UTF8_FLAG else "cp437" for flags in (entry.flag_bits, local_flags))
    entry.orig_filename = entry.orig_filename.encode(listed).decode(local)
