"""Read the end record of a ZIP strictly: where its directory lies and how many members it lists.

ZIP readers search for the end record in different ways. A file in which two of them could find different
records is rejected.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from finetune_portal.datasets.checker import file_types
from finetune_portal.datasets.checker.messages import REPACK, ZipRejectedError

MAX_MEMBERS = 20_000
MAX_DIRECTORY = 8 * 1024**2

END = struct.Struct("<4s4H2LH")
END_MARK = b"PK\x05\x06"
LOCATOR = struct.Struct("<4sLQL")
LOCATOR_MARK = b"PK\x06\x07"
END64 = struct.Struct("<4sQ2H2L4Q")
END64_MARK = b"PK\x06\x06"

CUT_OFF = f"The ZIP is cut off: its end is missing. {REPACK}"
SPLIT = "This is one part of a split ZIP. Pack everything into a single ZIP."
AMBIGUOUS = f"The end of the ZIP can be read in two ways, which is unsafe. {REPACK}"


@dataclass(frozen=True)
class EndRecord:
    """`directory` is the offset of the directory, `size` its length, `members` the number of its entries."""

    members: int
    directory: int
    size: int


def read_end(file: BinaryIO, length: int) -> EndRecord:
    """Find the directory of the ZIP in `file`, which is `length` bytes long. Raises ZipRejectedError."""
    first = max(0, length - END.size - 0xFFFF)
    file.seek(first)
    tail = file.read()
    at = tail.rfind(END_MARK)
    if at < 0 or len(tail) - at < END.size:
        raise ZipRejectedError(_not_a_zip(file))
    _, *numbers, comment = END.unpack_from(tail, at)
    if at + END.size + comment > len(tail):
        raise ZipRejectedError(CUT_OFF)
    if at + END.size + comment < len(tail):
        raise ZipRejectedError(f"There is other data after the end of the ZIP. {REPACK}")
    if _has_second_end(tail, at):
        raise ZipRejectedError(AMBIGUOUS)
    end, begins = _with_zip64(file, first + at, numbers)
    _check_size(end)
    if end.directory + end.size > begins:
        raise ZipRejectedError(f"The ZIP is damaged: its directory is not where it should be. {REPACK}")
    if end.directory + end.size < begins:
        raise ZipRejectedError(
            f"There is other data before the ZIP or inside it, as in a self-extracting file. {REPACK}"
        )
    return end


def _not_a_zip(file: BinaryIO) -> str:
    file.seek(0)
    head = file.read(file_types.HEAD_BYTES)
    if head.startswith(b"PK\x03\x04"):
        return CUT_OFF
    if head.startswith(b"PK\x07\x08"):
        return SPLIT
    actual_type = file_types.file_type(head)
    return f"This is not a readable ZIP file{f' but {actual_type}' if actual_type else ''}. {REPACK}"


def _has_second_end(tail: bytes, last: int) -> bool:
    """Whether an earlier signature also begins a record that ends at the end of the file."""
    at = tail.rfind(END_MARK, 0, last)
    while at >= 0:
        comment = int.from_bytes(tail[at + END.size - 2 : at + END.size], "little")
        if at + END.size + comment == len(tail):
            return True
        at = tail.rfind(END_MARK, 0, at)
    return False


def _with_zip64(file: BinaryIO, at: int, numbers: list[int]) -> tuple[EndRecord, int]:
    """The end record, from zip64 where the file has it, and the offset at which the end records begin."""
    record_offset = at - LOCATOR.size - END64.size
    locator = record = b""
    if record_offset >= 0:
        file.seek(record_offset)
        record = file.read(END64.size)
        locator = file.read(LOCATOR.size)
    if not locator.startswith(LOCATOR_MARK):
        if 0xFFFFFFFF in numbers[4:]:
            raise ZipRejectedError(f"The ZIP is damaged: it lacks its zip64 record. {REPACK}")
        return _one_disk(numbers), at
    _, disk, offset, disks = LOCATOR.unpack(locator)
    mark, size, _, _, *numbers64 = END64.unpack(record)
    if disk or disks > 1:
        raise ZipRejectedError(SPLIT)
    if offset != record_offset or mark != END64_MARK or size != END64.size - 12:
        raise ZipRejectedError(f"The ZIP is damaged: its zip64 record is not where it should be. {REPACK}")
    pairs = zip(numbers, numbers64, (0xFFFF,) * 4 + (0xFFFFFFFF,) * 2, strict=True)
    if any(small not in (large, unset) for small, large, unset in pairs):
        raise ZipRejectedError(AMBIGUOUS)
    return _one_disk(numbers64), record_offset


def _one_disk(numbers: list[int]) -> EndRecord:
    disk, first_disk, here, members, size, directory = numbers
    if disk or first_disk or here != members:
        raise ZipRejectedError(SPLIT)
    return EndRecord(members, directory, size)


def _check_size(end: EndRecord) -> None:
    if end.members > MAX_MEMBERS:
        raise ZipRejectedError(f"The ZIP holds {end.members:,} files; {MAX_MEMBERS:,} is the limit.")
    if end.size > MAX_DIRECTORY:
        raise ZipRejectedError(f"The list of files in the ZIP is larger than 8 MB. {REPACK}")
