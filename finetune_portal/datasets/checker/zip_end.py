"""The end of a ZIP, read strictly: where its directory lies and how many members that names.

Readers differ in how they look for the end. What two of them could find in two places is refused.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from finetune_portal.datasets.checker import file_types
from finetune_portal.datasets.checker.messages import AGAIN, Refused

MAX_MEMBERS = 20_000
MAX_DIRECTORY = 8 * 1024**2

END = struct.Struct("<4s4H2LH")
END_MARK = b"PK\x05\x06"
LOCATOR = struct.Struct("<4sLQL")
LOCATOR_MARK = b"PK\x06\x07"
END64 = struct.Struct("<4sQ2H2L4Q")
END64_MARK = b"PK\x06\x06"

CUT_OFF = f"The ZIP is cut off: its end is missing. {AGAIN}"
SPLIT = "This is one part of a split ZIP. Pack everything into a single ZIP."
TWO_WAYS = f"The end of the ZIP can be read in two ways, as a trap would. {AGAIN}"


@dataclass(frozen=True)
class End:
    """`directory` is the offset of the directory, `size` its length, `members` how many it lists."""

    members: int
    directory: int
    size: int


def read_end(file: BinaryIO, length: int) -> End:
    """Find the directory of the ZIP in `file`, which is `length` bytes long, or raise Refused."""
    first = max(0, length - END.size - 0xFFFF)
    file.seek(first)
    tail = file.read()
    at = tail.rfind(END_MARK)
    if at < 0 or len(tail) - at < END.size:
        raise Refused(_what_instead(file))
    _, *numbers, comment = END.unpack_from(tail, at)
    if at + END.size + comment > len(tail):
        raise Refused(CUT_OFF)
    if at + END.size + comment < len(tail):
        raise Refused(f"There is other data after the end of the ZIP. {AGAIN}")
    if _ends_twice(tail, at):
        raise Refused(TWO_WAYS)
    end, begins = _with_zip64(file, first + at, numbers)
    _refuse_size(end)
    if end.directory + end.size > begins:
        raise Refused(f"The ZIP is damaged: its directory is not where it should be. {AGAIN}")
    if end.directory + end.size < begins:
        raise Refused(
            f"There is other data before the ZIP or inside it, as in a self-extracting file. {AGAIN}"
        )
    return end


def _what_instead(file: BinaryIO) -> str:
    file.seek(0)
    head = file.read(file_types.HEAD)
    if head.startswith(b"PK\x03\x04"):
        return CUT_OFF
    if head.startswith(b"PK\x07\x08"):
        return SPLIT
    really = file_types.kind(head)
    return f"This is not a readable ZIP file{f' but {really}' if really else ''}. {AGAIN}"


def _ends_twice(tail: bytes, last: int) -> bool:
    """Whether an earlier mark also begins a record that ends where the file ends."""
    at = tail.rfind(END_MARK, 0, last)
    while at >= 0:
        comment = int.from_bytes(tail[at + END.size - 2 : at + END.size], "little")
        if at + END.size + comment == len(tail):
            return True
        at = tail.rfind(END_MARK, 0, at)
    return False


def _with_zip64(file: BinaryIO, at: int, numbers: list[int]) -> tuple[End, int]:
    """The end, by its zip64 record where there is one, and the offset at which its records begin."""
    place = at - LOCATOR.size - END64.size
    locator = record = b""
    if place >= 0:
        file.seek(place)
        record = file.read(END64.size)
        locator = file.read(LOCATOR.size)
    if not locator.startswith(LOCATOR_MARK):
        if 0xFFFFFFFF in numbers[4:]:
            raise Refused(f"The ZIP is damaged: it lacks its zip64 record. {AGAIN}")
        return _one_disk(numbers), at
    _, disk, offset, disks = LOCATOR.unpack(locator)
    mark, size, _, _, *numbers64 = END64.unpack(record)
    if disk or disks > 1:
        raise Refused(SPLIT)
    if offset != place or mark != END64_MARK or size != END64.size - 12:
        raise Refused(f"The ZIP is damaged: its zip64 record is not where it should be. {AGAIN}")
    pairs = zip(numbers, numbers64, (0xFFFF,) * 4 + (0xFFFFFFFF,) * 2, strict=True)
    if any(small not in (large, unset) for small, large, unset in pairs):
        raise Refused(TWO_WAYS)
    return _one_disk(numbers64), place


def _one_disk(numbers: list[int]) -> End:
    disk, first_disk, here, members, size, directory = numbers
    if disk or first_disk or here != members:
        raise Refused(SPLIT)
    return End(members, directory, size)


def _refuse_size(end: End) -> None:
    if end.members > MAX_MEMBERS:
        raise Refused(f"The ZIP holds {end.members:,} files; {MAX_MEMBERS:,} is the limit.")
    if end.size > MAX_DIRECTORY:
        raise Refused(f"The list of files in the ZIP is larger than 8 MB. {AGAIN}")
