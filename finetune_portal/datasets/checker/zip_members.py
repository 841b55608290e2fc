"""Read the members of a ZIP whose directory, local headers and data agree; reject any other.

Every byte of the file must belong to one member, to the directory or to the end record, so that nothing
overlaps and nothing hides. `zipfile` parses the directory; this module verifies it. At most one chunk of one
member is in memory.
"""

from __future__ import annotations

import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from itertools import compress, pairwise
from typing import BinaryIO, NamedTuple

from finetune_portal.datasets.checker import code_pages, file_types, zip_names
from finetune_portal.datasets.checker.messages import REPACK, ZipRejectedError, quoted
from finetune_portal.datasets.checker.zip_end import SPLIT, EndRecord, read_end

MAX_UNPACKED = 20_000_000_000
MAX_RATIO, RATIO_FROM = 100, 1_000_000
MAX_TOTAL_RATIO, TOTAL_RATIO_FROM = 50, 64 * 1024**2
CHUNK = 256 * 1024

LOCAL = struct.Struct("<4s5H3L2H")
DIRECTORY_ENTRY = 46
ENCRYPTED = 0x1 | 0x40 | 0x2000
STREAMED = 0x8
UTF8 = 0x800
ZIP64_EXTRA, UNICODE_PATH_EXTRA = 0x0001, 0x7075
UNSET = 0xFFFFFFFF
UNREADABLE = f"The ZIP is damaged: its list of files cannot be read. {REPACK}"


class Member(NamedTuple):
    """A file in the ZIP: `name` as zipfile reads it, `label` as people read it, and where its data begins.

    `folder`, `stem` and `suffix` are the parts of the label. `raw` is the name's bytes in the ZIP, and `page`
    the code page in which they were read where that is a guess.
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
    raw: bytes = b""
    page: str = ""


def read_members(file: BinaryIO, code_page: str = "") -> list[Member]:
    """The files of the ZIP, in the order of its directory. Raises ZipRejectedError.

    Names that need a code page are read in `code_page`, or in the one that is guessed if it is empty.
    """
    end = read_end(file, file.seek(0, 2))
    infos = _directory(file, end)
    labels, pages = _labels(infos, code_page)
    for info, label in zip(infos, labels, strict=True):
        _check_entry(info, label)
    files = [not _is_folder(info, label) for info, label in zip(infos, labels, strict=True)]
    zip_names.check_duplicates(compress(labels, files))
    _check_totals(infos)
    starts = _data_starts(file, infos, end)
    return [_member(*entry) for entry in compress(zip(infos, labels, pages, starts, strict=True), files)]


def _member(info: zipfile.ZipInfo, label: str, page: str, start: int) -> Member:
    sizes = (info.compress_size, info.file_size)
    parts = zip_names.split_path(label)
    raw = _raw_name(info)
    return Member(info.filename, label, *parts, start, *sizes, info.CRC, info.compress_type, raw, page)


def _directory(file: BinaryIO, end: EndRecord) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(file) as archive:
            infos = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error, OverflowError):
        raise ZipRejectedError(UNREADABLE) from None
    file.seek(end.directory)
    if _count(file.read(end.size)) != len(infos):
        raise ZipRejectedError(UNREADABLE)
    if len(infos) != end.members:
        raise ZipRejectedError(f"The ZIP lists {len(infos):,} files but counts {end.members:,}. {REPACK}")
    return infos


def _count(directory: bytes) -> int:
    """The number of entries that fill the directory exactly; -1 if the last one ends elsewhere."""
    at = count = 0
    while at + DIRECTORY_ENTRY <= len(directory):
        at += DIRECTORY_ENTRY + sum(struct.unpack_from("<3H", directory, at + 28))
        count += 1
    return count if at == len(directory) else -1


def _raw_name(info: zipfile.ZipInfo) -> bytes:
    return info.orig_filename.encode("utf-8" if info.flag_bits & UTF8 else "cp437")


def _labels(infos: list[zipfile.ZipInfo], chosen: str) -> tuple[list[str], list[str]]:
    """The names as people read them, in composed form (NFC), and the code page of each that needs one.

    Names without the UTF-8 flag are UTF-8 in ZIPs of older macOS, and in a code page in those of Windows.
    """
    raws = [_raw_name(info) for info in infos]
    page, is_old = "", {raw for raw in raws if not code_pages.is_utf8(raw)}
    if is_old:
        unflagged = {raw for info, raw in zip(infos, raws, strict=True) if not info.flag_bits & UTF8}
        candidates = (chosen,) if chosen else code_pages.IN_NAMES
        page, is_for_all = code_pages.guess_for_names(unflagged, candidates)
        is_old = unflagged if is_for_all else is_old
    names, pages = [], []
    for info, raw in zip(infos, raws, strict=True):
        name = _unicode_path(info.extra, info)
        is_guess = not name and raw in is_old and not raw.isascii()
        name = name or (code_pages.decode_name(raw, page) if is_guess else raw.decode())
        names.append(unicodedata.normalize("NFC", name))
        pages.append(page if is_guess else "")
    return names, pages


def _is_folder(info: zipfile.ZipInfo, label: str) -> bool:
    return label.endswith(("/", "\\")) or stat.S_ISDIR(info.external_attr >> 16)


def _check_entry(info: zipfile.ZipInfo, label: str) -> None:
    if info.flag_bits & ENCRYPTED or info.compress_type == 99:
        raise ZipRejectedError(f"{quoted(label)} has a password. Pack the pictures again without one.")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ZipRejectedError(
            f"{quoted(label)} is packed in a way that few programs can read. "
            "Pack again with the usual method, “Deflate”."
        )
    if info.volume not in (0, 0xFFFF):
        raise ZipRejectedError(SPLIT)
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise ZipRejectedError(f"{quoted(label)} is a link or a device, not a file. Pack the file itself.")
    for name in {label, info.orig_filename}:
        zip_names.check_name(name)
    if not _is_folder(info, label) and label.lower().endswith(file_types.ARCHIVE_SUFFIXES):
        raise ZipRejectedError(f"{quoted(label)} is an archive in the ZIP. Pack the pictures themselves.")
    _check_sizes(info, label)


def _check_sizes(info: zipfile.ZipInfo, label: str) -> None:
    if _is_folder(info, label) and info.file_size:
        raise ZipRejectedError(f"{quoted(label)} is a folder with data of its own, which is unsafe. {REPACK}")
    if info.compress_type == zipfile.ZIP_STORED and info.compress_size != info.file_size:
        raise ZipRejectedError(f"{quoted(label)} does not have the size that the ZIP says. {REPACK}")
    if info.file_size > RATIO_FROM and info.file_size > MAX_RATIO * info.compress_size:
        raise ZipRejectedError(
            f"{quoted(label)} unpacks to over {MAX_RATIO} times its size, like a ZIP bomb."
        )


def _check_totals(infos: list[zipfile.ZipInfo]) -> None:
    unpacked = sum(info.file_size for info in infos)
    packed = sum(info.compress_size for info in infos)
    if unpacked > MAX_UNPACKED:
        raise ZipRejectedError("The ZIP unpacks to more than 20 GB, which is the limit.")
    if unpacked > TOTAL_RATIO_FROM and unpacked > MAX_TOTAL_RATIO * packed:
        raise ZipRejectedError(f"The ZIP unpacks to over {MAX_TOTAL_RATIO} times its size, like a ZIP bomb.")


def _extras(raw: bytes) -> dict[int, bytes]:
    fields: dict[int, bytes] = {}
    while len(raw) >= 4:
        field_id, length = struct.unpack_from("<HH", raw)
        if field_id in fields and field_id in (ZIP64_EXTRA, UNICODE_PATH_EXTRA):
            raise ZipRejectedError(f"A file in the ZIP has two sizes or two names, which is unsafe. {REPACK}")
        fields[field_id] = raw[4 : 4 + length]
        raw = raw[4 + length :]
    return fields


def _unicode_path(extra: bytes, info: zipfile.ZipInfo) -> str | None:
    """The UTF-8 name that Info-ZIP and others add to a name in a code page."""
    field = _extras(extra).get(UNICODE_PATH_EXTRA) if extra else None
    if not field or field[0] != 1 or len(field) < 5:
        return None
    raw = _raw_name(info)
    if int.from_bytes(field[1:5], "little") != zlib.crc32(raw):
        return None
    name = field[5:].decode("utf-8", "replace")
    if raw.isascii() and name != raw.decode():
        raise ZipRejectedError(
            f"{quoted(info.orig_filename)} is also called {quoted(name)} in the ZIP. {REPACK}"
        )
    return name


def _data_starts(file: BinaryIO, infos: list[zipfile.ZipInfo], end: EndRecord) -> list[int]:
    """The offset of each member's data; verifies that the members fill the file up to the directory."""
    starts = [-1] * len(infos)
    order = sorted(range(len(infos)), key=lambda number: infos[number].header_offset)
    offset = 0
    for number, after in pairwise([*order, -1]):
        info = infos[number]
        limit = end.directory if after < 0 else infos[after].header_offset
        if info.header_offset > offset:
            raise ZipRejectedError(
                f"There is other data in the ZIP before {quoted(info.orig_filename)}. {REPACK}"
            )
        starts[number] = _check_local_header(file, info, limit)
        offset = limit
    if offset != end.directory:
        raise ZipRejectedError(f"There is other data in the ZIP before its list of files. {REPACK}")
    return starts


def _check_local_header(file: BinaryIO, info: zipfile.ZipInfo, limit: int) -> int:
    """Compare the local header and the data descriptor with the directory; return the offset of the data."""
    file.seek(info.header_offset)
    header = file.read(LOCAL.size)
    if len(header) < LOCAL.size or not header.startswith(b"PK\x03\x04"):
        raise ZipRejectedError(f"{quoted(info.orig_filename)} is not where the ZIP says. {REPACK}")
    _, _, flags, method, _, _, crc, packed, size, name_length, extra_length = LOCAL.unpack(header)
    raw_name, extra = file.read(name_length), file.read(extra_length)
    start = info.header_offset + LOCAL.size + name_length + extra_length
    gap = limit - start - info.compress_size
    if gap < 0:
        raise ZipRejectedError(
            f"{quoted(info.orig_filename)} overlaps another file in the ZIP, which is unsafe. {REPACK}"
        )
    if raw_name != _raw_name(info):  # the UTF-8 flag alone may differ: Info-ZIP sets it in one place only
        raise ZipRejectedError(f"{quoted(info.orig_filename)} has two different names in the ZIP. {REPACK}")
    _unicode_path(extra, info)
    local = (crc, *_local_sizes(packed, size, extra))
    listed = (info.CRC, info.compress_size, info.file_size)
    streamed = bool(flags & STREAMED)
    agrees = all(ours == yours or (streamed and not ours) for ours, yours in zip(local, listed, strict=True))
    if not agrees or method != info.compress_type or (flags ^ info.flag_bits) & ENCRYPTED:
        raise ZipRejectedError(
            f"{quoted(info.orig_filename)} is described in two different ways in the ZIP. {REPACK}"
        )
    if gap or local != listed:
        _check_descriptor(file, start + info.compress_size, gap, info, streamed=streamed)
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


def _check_descriptor(
    file: BinaryIO, offset: int, gap: int, info: zipfile.ZipInfo, *, streamed: bool
) -> None:
    """Compare the data descriptor, CRC and sizes after streamed data, with the directory."""
    name = quoted(info.orig_filename)
    if not streamed or gap not in (12, 16, 20, 24):
        raise ZipRejectedError(f"There is other data in the ZIP after {name}. {REPACK}")
    file.seek(offset)
    raw = file.read(gap)
    if gap in (16, 24):
        raw = raw.removeprefix(b"PK\x07\x08")
    form = {12: "<3L", 20: "<LQQ"}.get(len(raw))
    if form is None or struct.unpack(form, raw) != (info.CRC, info.compress_size, info.file_size):
        raise ZipRejectedError(f"{name} is described in two different ways in the ZIP. {REPACK}")


def unpack(file: BinaryIO, member: Member) -> Iterator[bytes]:
    """The bytes of a member in chunks. Raises ZipRejectedError once they differ from what the ZIP says."""
    crc = done = 0
    file.seek(member.start)
    try:
        for chunk in _inflate(file, member.packed) if member.method else _read_stored(file, member.packed):
            done += len(chunk)
            if done > member.size:
                break
            crc = zlib.crc32(chunk, crc)
            yield chunk
    except (zlib.error, EOFError):
        done = -1
    if done != member.size or crc != member.crc:
        raise ZipRejectedError(f"{quoted(member.label)} is damaged in the ZIP. {REPACK}")


def _read_stored(file: BinaryIO, left: int) -> Iterator[bytes]:
    while left and (chunk := file.read(min(CHUNK, left))):
        left -= len(chunk)
        yield chunk


def _inflate(file: BinaryIO, left: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    for block in _read_stored(file, left):
        left -= len(block)
        data = block
        while True:
            chunk = inflater.decompress(data, CHUNK)
            yield chunk
            data = inflater.unconsumed_tail
            if inflater.eof or (not data and len(chunk) < CHUNK):
                break
        if inflater.eof:
            break
    if left or inflater.unused_data or not inflater.eof:
        raise EOFError
