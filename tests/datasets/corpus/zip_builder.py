"""Pictures, datasets, and ZIP files written byte by byte, so that every field can lie."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from PIL import Image

CAPTION = b"give the house a red roof"
STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
UTF8, STREAMED, ENCRYPTED = 0x800, 0x8, 0x1
FILE_MODE = 0o100644


@cache
def picture(
    kind: str = "PNG", size: tuple[int, int] = (320, 256), colour: Any = (120, 160, 90), mode: str = "RGB"
) -> bytes:
    data = io.BytesIO()
    Image.new(mode, size, colour).save(data, kind)
    return data.getvalue()


def dataset(pairs: int = 5, *, kind: str = "PNG", suffix: str = "png", folder: str = "") -> dict[str, bytes]:
    """A good dataset in the provider's layout."""
    files = {}
    for number in range(1, pairs + 1):
        for half, blue in (("start", 40), ("end", 200)):
            files[f"{folder}{number:02}_{half}.{suffix}"] = picture(kind, colour=(number, 90, blue))
        files[f"{folder}{number:02}.txt"] = CAPTION
    return files


def several_inputs(count: int, pairs: int = 5) -> dict[str, bytes]:
    """The same with so many input images a pair, no two of them alike."""
    return dataset(pairs) | {
        f"{pair:02}_start{number}.png": picture(colour=(pair, number, 10))
        for pair in range(1, pairs + 1)
        for number in range(2, count + 1)
    }


def packed(files: dict[str, bytes], method: int = STORED) -> bytes:
    """As Python's zipfile writes it."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def deflated(data: bytes, level: int = 6) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@dataclass
class Entry:
    """One member. A field that is None is written truthfully; `local_...` lies in the local header only."""

    name: bytes | str
    data: bytes = b""
    method: int = STORED
    flags: int | None = None
    crc: int | None = None
    size: int | None = None
    packed_size: int | None = None
    offset: int | None = None
    mode: int = FILE_MODE
    system: int = 3
    version: int = 20
    disk: int = 0
    comment_length: int = 0
    extra: bytes = b""
    raw: bytes | None = None  # what lies in the file, in place of the packed data
    descriptor: bytes | None = None  # what follows the data; with the flag STREAMED a true one by itself
    gap: bytes = b""  # before the local header
    local_name: bytes | None = None
    local_flags: int | None = None
    local_method: int | None = None
    local_crc: int | None = None
    local_size: int | None = None
    local_packed_size: int | None = None
    local_extra: bytes | None = None

    def __post_init__(self) -> None:
        if isinstance(self.name, str):
            if self.flags is None and not self.name.isascii():
                self.flags = UTF8
            self.name = self.name.encode()
        self.flags = self.flags or 0
        if self.raw is None:
            self.raw = deflated(self.data) if self.method == DEFLATED else self.data
        self.crc = zlib.crc32(self.data) if self.crc is None else self.crc
        self.size = len(self.data) if self.size is None else self.size
        self.packed_size = len(self.raw) if self.packed_size is None else self.packed_size
        if self.flags & STREAMED and self.descriptor is None:
            numbers = struct.pack("<3L", self.crc, self.packed_size & 0xFFFFFFFF, self.size & 0xFFFFFFFF)
            self.descriptor = b"PK\x07\x08" + numbers

    def local(self) -> bytes:
        def first(*values: Any) -> Any:
            return next(value for value in values if value is not None)

        flags = first(self.local_flags, self.flags)
        sizes = (self.crc, self.packed_size, self.size) if not flags & STREAMED else (0, 0, 0)
        name, extra = first(self.local_name, self.name), first(self.local_extra, self.extra)
        header = struct.pack(
            "<4s5H3L2H",
            b"PK\x03\x04",
            self.version,
            flags,
            first(self.local_method, self.method),
            0,
            0x21,
            first(self.local_crc, sizes[0]),
            first(self.local_packed_size, sizes[1]) & 0xFFFFFFFF,
            first(self.local_size, sizes[2]) & 0xFFFFFFFF,
            len(name),
            len(extra),
        )
        return header + name + extra + (self.raw or b"") + (self.descriptor or b"")

    def listed(self, offset: int) -> bytes:
        header = struct.pack(
            "<4s6H3L5H2L",
            b"PK\x01\x02",
            self.system << 8 | self.version,
            self.version,
            self.flags,
            self.method,
            0,
            0x21,
            self.crc,
            self.packed_size,
            self.size,
            len(self.name),
            len(self.extra),
            self.comment_length,
            self.disk,
            0,
            self.mode << 16,
            offset if self.offset is None else self.offset,
        )
        return header + bytes(self.name) + self.extra


@dataclass
class End:
    """The records at the end. A field that is None is written truthfully."""

    members: int | None = None
    members_here: int | None = None
    size: int | None = None
    directory: int | None = None
    disk: int = 0
    first_disk: int = 0
    comment: bytes = b""
    comment_length: int | None = None
    zip64: bool = False
    small: tuple[int, int, int] | None = None  # members, size, offset in the old record beside zip64
    record_offset: int | None = None
    record_size: int = 44
    disks: int = 1
    record_mark: bytes = b"PK\x06\x06"

    def packed(self, members: int, size: int, directory: int) -> bytes:
        total = members if self.members is None else self.members
        here = total if self.members_here is None else self.members_here
        size = size if self.size is None else self.size
        offset = directory if self.directory is None else self.directory
        large = b""
        small = (total, size, offset)
        if self.zip64:
            at = directory + size if self.record_offset is None else self.record_offset
            large = struct.pack(
                "<4sQ2H2L4Q", self.record_mark, self.record_size, 45, 45, 0, 0, here, total, size, offset
            )
            large += struct.pack("<4sLQL", b"PK\x06\x07", 0, at, self.disks)
            small = self.small or (0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF)
        length = len(self.comment) if self.comment_length is None else self.comment_length
        numbers = (self.disk, self.first_disk, small[0] if self.zip64 else here, *small, length)
        return large + struct.pack("<4s4H2LH", b"PK\x05\x06", *numbers) + self.comment


def build(
    entries: Iterable[Entry],
    end: End | None = None,
    *,
    prefix: bytes = b"",
    before_directory: bytes = b"",
    after_directory: bytes = b"",
    suffix: bytes = b"",
    shifted: bool = True,
) -> bytes:
    """The ZIP of `entries`. With `shifted`, the offsets count `prefix`."""
    body, listing, members = bytearray(prefix), bytearray(), list(entries)
    base = 0 if shifted else len(prefix)
    for entry in members:
        body += entry.gap
        listing += entry.listed(len(body) - base)
        body += entry.local()
    body += before_directory
    tail = (end or End()).packed(len(members), len(listing), len(body) - base)
    return bytes(body + listing + after_directory + tail + suffix)


def entries(files: dict[str, bytes] | None = None, **fields: Any) -> list[Entry]:
    return [Entry(name, data, **fields) for name, data in (files or dataset()).items()]


def extra(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def unicode_path(raw: bytes, name: str) -> bytes:
    return extra(0x7075, b"\x01" + struct.pack("<L", zlib.crc32(raw)) + name.encode())


def with_one(entry: Entry, *, first: bool = False) -> list[Entry]:
    """A good dataset and one member more."""
    return [entry, *entries()] if first else [*entries(), entry]
