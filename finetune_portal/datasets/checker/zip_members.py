"""The members of a ZIP, taken only if directory, local headers and data tell one and the same story.

Every byte of the file must belong to one member, to the directory or to the end, so nothing overlaps and
nothing hides. `zipfile` reads the directory; this module distrusts it. No more than one member's
piece is ever in memory.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from itertools import compress, pairwise
from typing import BinaryIO, NamedTuple

from finetune_portal.datasets.checker import file_types, zip_names
from finetune_portal.datasets.checker.messages import AGAIN, Refused, shown
from finetune_portal.datasets.checker.zip_end import SPLIT, End, read_end

MAX_UNPACKED = 20_000_000_000
MAX_RATIO, RATIO_FROM = 100, 1_000_000
MAX_TOTAL_RATIO, TOTAL_RATIO_FROM = 50, 64 * 1024**2
PIECE = 256 * 1024

LOCAL = struct.Struct("<4s5H3L2H")
DIRECTORY_ENTRY = 46
ENCRYPTED = 0x1 | 0x40 | 0x2000
STREAMED = 0x8
UTF8 = 0x800
ZIP64_EXTRA, UNICODE_PATH_EXTRA = 0x0001, 0x7075
UNSET = 0xFFFFFFFF
UNREADABLE = f"The ZIP is damaged: its list of files cannot be read. {AGAIN}"


class Member(NamedTuple):
    """A file in the ZIP: `name` as zipfile has it, `label` as people read it, and where its data lies.

    `folder`, `stem` and `suffix` are the parts of the label.
    """

    name: str
    label: str
    folder: str
    stem: str
    suffix: str
    start: int
    packed: int
    size: int
    crc: int
    method: int


def members(file: BinaryIO, needed: Callable[[str], bool] = lambda label: True) -> list[Member]:
    """The files of the ZIP in `file`, in the order of its directory; raises Refused.

    Of a file that is far away, only the local headers that are `needed` are read; the rest start at -1.
    """
    end = read_end(file, file.seek(0, 2))
    infos = _directory(file, end)
    labels = [_label(info) for info in infos]
    for info, label in zip(infos, labels, strict=True):
        _refuse_entry(info, label)
    files = [not _is_folder(info) for info in infos]
    zip_names.refuse_doubles(compress(labels, files))
    _refuse_totals(infos)
    starts = _data_starts(file, infos, end, [needed(label) for label in labels])
    return [_member(*entry) for entry in compress(zip(infos, labels, starts, strict=True), files)]


def _member(info: zipfile.ZipInfo, label: str, start: int) -> Member:
    sizes = (info.compress_size, info.file_size)
    return Member(info.filename, label, *zip_names.place(label), start, *sizes, info.CRC, info.compress_type)


def _directory(file: BinaryIO, end: End) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, OverflowError):
        raise Refused(UNREADABLE) from None
    file.seek(end.directory)
    if _count(file.read(end.size)) != len(infos):
        raise Refused(UNREADABLE)
    if len(infos) != end.members:
        raise Refused(f"The ZIP lists {len(infos):,} files but counts {end.members:,}. {AGAIN}")
    return infos


def _count(directory: bytes) -> int:
    """How many entries fill the directory exactly; -1 if the last one does not end with it."""
    at = count = 0
    while at + DIRECTORY_ENTRY <= len(directory):
        at += DIRECTORY_ENTRY + sum(struct.unpack_from("<3H", directory, at + 28))
        count += 1
    return count if at == len(directory) else -1


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("utf-8" if info.flag_bits & UTF8 else "cp437")


def _label(info: zipfile.ZipInfo) -> str:
    """UTF-8 even where the zipper forgot to say so, as older macOS does."""
    if info.orig_filename.isascii():
        return info.orig_filename
    try:
        return _raw_name(info).decode()
    except UnicodeDecodeError:
        return info.orig_filename


def _is_folder(info: zipfile.ZipInfo) -> bool:
    return info.filename.endswith(("/", "\\")) or stat.S_ISDIR(info.external_attr >> 16)


def _refuse_entry(info: zipfile.ZipInfo, label: str) -> None:
    if info.flag_bits & ENCRYPTED or info.compress_type == 99:
        raise Refused(f"{shown(label)} has a password. Pack the pictures again without one.")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Refused(
            f"{shown(label)} is packed in a way that few programs can read. "
            "Pack again with the usual method, “Deflate”."
        )
    if info.volume not in (0, 0xFFFF):
        raise Refused(SPLIT)
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Refused(f"{shown(label)} is a link or a device, not a file. Pack the file itself.")
    for name in {label, info.orig_filename, _unicode_path(info.extra, info) or label}:
        zip_names.refuse_name(name)
    if not _is_folder(info) and label.lower().endswith(file_types.ARCHIVE_SUFFIXES):
        raise Refused(f"{shown(label)} is an archive in the ZIP. Pack the pictures themselves.")
    _refuse_sizes(info, label)


def _refuse_sizes(info: zipfile.ZipInfo, label: str) -> None:
    if _is_folder(info) and info.file_size:
        raise Refused(f"{shown(label)} is a folder with data of its own, as a trap would be. {AGAIN}")
    if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
        raise Refused(f"{shown(label)} does not have the size that the ZIP says. {AGAIN}")
    if info.file_size > RATIO_FROM and info.file_size > MAX_RATIO * info.compress_size:
        raise Refused(f"{shown(label)} unpacks to over {MAX_RATIO} times its size, as a trap would.")


def _refuse_totals(infos: list[zipfile.ZipInfo]) -> None:
    unpacked = sum(info.file_size for info in infos)
    packed = sum(info.compress_size for info in infos)
    if unpacked > MAX_UNPACKED:
        raise Refused("The ZIP unpacks to more than 20 GB, which is the limit.")
    if unpacked > TOTAL_RATIO_FROM and unpacked > MAX_TOTAL_RATIO * packed:
        raise Refused(f"The ZIP unpacks to over {MAX_TOTAL_RATIO} times its size, as a trap would.")


def _extras(raw: bytes) -> dict[int, bytes]:
    fields: dict[int, bytes] = {}
    while len(raw) >= 4:
        kind, length = struct.unpack_from("<HH", raw)
        if kind in fields and kind in (ZIP64_EXTRA, UNICODE_PATH_EXTRA):
            raise Refused(f"A file in the ZIP has two sizes or two names, as a trap would. {AGAIN}")
        fields[kind] = raw[4 : 4 + length]
        raw = raw[4 + length :]
    return fields


def _unicode_path(extra: bytes, info: zipfile.ZipInfo) -> str | None:
    """The name that Info-ZIP and others add when the first one is in a code page."""
    field = _extras(extra).get(UNICODE_PATH_EXTRA) if extra else None
    if not field or field[0] != 1 or len(field) < 5:
        return None
    raw = _raw_name(info)
    if int.from_bytes(field[1:5], "little") != zlib.crc32(raw):
        return None
    name = field[5:].decode("utf-8", "replace")
    if raw.isascii() and name != raw.decode():
        raise Refused(f"{shown(info.orig_filename)} is also called {shown(name)} in the ZIP. {AGAIN}")
    return name


def _data_starts(file: BinaryIO, infos: list[zipfile.ZipInfo], end: End, needed: list[bool]) -> list[int]:
    """Where each member's data begins, having walked the whole file from member to member."""
    starts = [-1] * len(infos)
    order = sorted(range(len(infos)), key=lambda number: infos[number].header_offset)
    place = 0
    for number, after in pairwise([*order, -1]):
        info = infos[number]
        limit = end.directory if after < 0 else infos[after].header_offset
        if info.header_offset > place:
            raise Refused(f"There is other data in the ZIP before {shown(info.orig_filename)}. {AGAIN}")
        if needed[number]:
            starts[number] = _refuse_local(file, info, limit)
        place = limit
    if place != end.directory:
        raise Refused(f"There is other data in the ZIP before its list of files. {AGAIN}")
    return starts


def _refuse_local(file: BinaryIO, info: zipfile.ZipInfo, limit: int) -> int:
    """Compare the local header and what follows the data with the directory; the offset of the data."""
    file.seek(info.header_offset)
    header = file.read(LOCAL.size)
    if len(header) < LOCAL.size or not header.startswith(b"PK\x03\x04"):
        raise Refused(f"{shown(info.orig_filename)} is not where the ZIP says. {AGAIN}")
    _, _, flags, method, _, _, crc, packed, size, name_length, extra_length = LOCAL.unpack(header)
    raw_name, extra = file.read(name_length), file.read(extra_length)
    start = info.header_offset + LOCAL.size + name_length + extra_length
    room = limit - start - info.compress_size
    if room < 0:
        raise Refused(
            f"{shown(info.orig_filename)} overlaps another file in the ZIP, as a trap would. {AGAIN}"
        )
    if raw_name != _raw_name(info) or (not raw_name.isascii() and (flags ^ info.flag_bits) & UTF8):
        raise Refused(f"{shown(info.orig_filename)} has two different names in the ZIP. {AGAIN}")
    _unicode_path(extra, info)
    told = (crc, *_local_sizes(packed, size, extra))
    true = (info.CRC, info.compress_size, info.file_size)
    streamed = bool(flags & STREAMED)
    same = all(mine == yours or (streamed and not mine) for mine, yours in zip(told, true, strict=True))
    if not same or method != info.compress_type or (flags ^ info.flag_bits) & ENCRYPTED:
        raise Refused(f"{shown(info.orig_filename)} is described in two different ways in the ZIP. {AGAIN}")
    if room or told != true:
        _refuse_descriptor(file, start + info.compress_size, room, info, streamed=streamed)
    return int(start)


def _local_sizes(packed: int, size: int, extra: bytes) -> tuple[int, int]:
    if UNSET not in (packed, size):
        return packed, size
    large = _extras(extra).get(ZIP64_EXTRA, b"")
    numbers = struct.unpack(f"<{len(large) // 8}Q", large[: len(large) // 8 * 8])
    if size == UNSET and numbers:
        size = numbers[0]
    if packed == UNSET and numbers:
        packed = numbers[min(1, len(numbers) - 1)]
    return packed, size


def _refuse_descriptor(
    file: BinaryIO, place: int, room: int, info: zipfile.ZipInfo, *, streamed: bool
) -> None:
    """What a streaming zipper writes after the data: CRC and sizes, with or without a mark."""
    name = shown(info.orig_filename)
    if not streamed or room not in (12, 16, 20, 24):
        raise Refused(f"There is other data in the ZIP after {name}. {AGAIN}")
    file.seek(place)
    raw = file.read(room)
    if room in (16, 24):
        raw = raw.removeprefix(b"PK\x07\x08")
    form = {12: "<3L", 20: "<LQQ"}.get(len(raw))
    if form is None or struct.unpack(form, raw) != (info.CRC, info.compress_size, info.file_size):
        raise Refused(f"{name} is described in two different ways in the ZIP. {AGAIN}")


def unpacked(file: BinaryIO, member: Member) -> Iterator[bytes]:
    """The bytes of a member in pieces; raises Refused as soon as they are not what the ZIP says."""
    crc = done = 0
    file.seek(member.start)
    try:
        for piece in _inflated(file, member.packed) if member.method else _stored(file, member.packed):
            done += len(piece)
            if done > member.size:
                break
            crc = zlib.crc32(piece, crc)
            yield piece
    except (zlib.error, EOFError):
        done = -1
    if done != member.size or crc != member.crc:
        raise Refused(f"{shown(member.label)} is damaged in the ZIP. {AGAIN}")


def _stored(file: BinaryIO, left: int) -> Iterator[bytes]:
    while left and (piece := file.read(min(PIECE, left))):
        left -= len(piece)
        yield piece


def _inflated(file: BinaryIO, left: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    for data in _stored(file, left):
        left -= len(data)
        while True:
            piece = inflater.decompress(data, PIECE)
            yield piece
            data = inflater.unconsumed_tail
            if inflater.eof or (not data and len(piece) < PIECE):
                break
        if inflater.eof:
            break
    if left or inflater.unused_data or not inflater.eof:
        raise EOFError
