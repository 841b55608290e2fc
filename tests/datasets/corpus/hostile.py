"""ZIPs that a broken program or an attacker may send, each with a part of the message for its owner.

Comments give the ids of docs/reliability.md, 3.2: Z3 is full overlap, and so on.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from tests.datasets.corpus.hostile_content import Case, bombs, kinds_of_members, not_a_zip, wrong_content
from tests.datasets.corpus.zip_builder import (
    DEFLATED,
    STREAMED,
    UTF8,
    End,
    Entry,
    build,
    dataset,
    deflated,
    entries,
    extra,
    packed,
    picture,
    unicode_path,
    with_one,
)


def _names() -> dict[str, Case]:
    outside = [
        "../01.png",
        "a/../../b.png",
        "..",
        "a/..",
        "..\\b.png",
        "a\\..\\..\\b.png",
        "/etc/passwd",
        "//server/share.png",
        "\\\\server\\share.png",
        "\\windows\\a.png",
        "C:/a.png",
        "c:a.png",
        "Z:\\a.png",
        ".. /a.png",
        ".../a.png",
        "a/. ./b.png",
        "\u2025/a.png",
        "\uff0e\uff0e/a.png",
        "\uff0e\uff0e\uff0fa.png",
        "\uff0fetc/passwd",
    ]
    invisible = [
        "a\0.png",
        "\0",
        "a\n.png",
        "a\r.png",
        "a\x1b[2J.png",
        "a\x7f.png",
        "gnp.\u202e\u202ea",
        "\u2066a.png",
    ]
    long = ["x" * 256, "x/" * 10 + "a.png", "y" * 5_000, "/".join(["z" * 200] * 6), "ü" * 128]
    names = (
        [(name, "points outside") for name in outside]
        + [(name, "invisible characters") for name in invisible]
        + [(long[0], "too long a name"), (long[1], "folders deep"), (long[2], "too long a name")]
        + [(long[3], "too long a name"), (long[4], "too long a name")]
        + [("", "has no name"), (".", "has no name"), ("./.", "has no name")]
    )
    return {
        # Z12
        f"{ascii(name)[:30]} ({number})": (lambda name=name: build(with_one(Entry(name, b"x"))), why)
        for number, (name, why) in enumerate(names)
    } | {
        "another name in the Unicode field": (
            lambda: build(with_one(Entry("a.png", extra=unicode_path(b"a.png", "b.png")))),
            "also called “b.png”",
        ),
        "another name in the local Unicode field": (
            lambda: build(with_one(Entry("a.png", local_extra=unicode_path(b"a.png", "b.png")))),
            "also called “b.png”",
        ),
        "a way out in the Unicode field": (
            lambda: build(with_one(Entry(b"\x84.png", extra=unicode_path(b"\x84.png", "../ä.png")))),
            "points outside",
        ),
        "two Unicode fields": (
            lambda: build(with_one(Entry(b"\x84", extra=2 * unicode_path(b"\x84", "ä")))),
            "two sizes or two names",
        ),
        "not UTF-8 though it says so": (
            lambda: build(with_one(Entry(b"\xff\xfe.png", flags=UTF8))),
            "list of files cannot be read",
        ),
    }


def _doubles() -> dict[str, Case]:
    names = {
        "same": ("01.txt", "twice"),
        "upper case": ("01_START.PNG", "twice"),
        "with a dot at its end": ("01.txt.", "twice"),
        "with a space at its end": ("01.txt ", "twice"),
        "by ./": ("./01.txt", "twice"),
        "by //": (".//01.txt", "twice"),
        "below a file": ("01.txt/a.png", "a file and a folder at once"),
        "below a file in upper case": ("01.TXT/b/a.png", "a file and a folder at once"),
    }
    return {
        # Z13
        f"a second name, {name}": (lambda other=other: build(with_one(Entry(other, b"x"))), why)
        for name, (other, why) in names.items()
    } | {
        "two Unicode spellings": (
            lambda: build([*entries(), Entry("\u00e9.png"), Entry("e\u0301.png")]),
            "twice",
        ),
        "sharp s": (lambda: build([*entries(), Entry("straße.png"), Entry("STRASSE.png")]), "twice"),
        "backslash and slash": (
            lambda: build([*entries(), Entry("a/b.png"), Entry("a\\b.png")]),
            "twice",
        ),
    }


def _ends() -> dict[str, Case]:
    def end_record(why: str, **fields: object) -> Case:
        return (lambda: build(entries(), End(**fields))), why

    good = build(entries())
    return {
        # Z9
        "too few counted": end_record("lists 15 files but counts 14", members=14),
        "too many counted": end_record("lists 15 files but counts 16", members=16),
        "none counted": end_record("counts 0", members=0),
        "two counts": end_record("split ZIP", members_here=3),
        "the directory too early": end_record("other data before the ZIP", directory=10),
        "the directory too late": end_record("not where it should be", directory=2**31),
        "the directory too short": end_record("other data before the ZIP", size=46),
        "the directory too long": end_record("not where it should be", size=7_000),
        "a comment that is cut off": end_record("cut off", comment_length=7),
        "a comment that ends early": end_record("after the end", comment=b"hello", comment_length=2),
        "a second end in the comment": end_record("read in two ways", comment=build([])),
        "a whole ZIP in the comment": end_record("read in two ways", comment=build(entries())),
        "two ends": (lambda: build([Entry("a")], End(comment=build([]))), "read in two ways"),
        "an entry that reaches past the directory": (
            lambda: build(with_one(Entry("a", b"x", comment_length=22))),
            "list of files cannot be read",
        ),
        # Z17
        "the third disk": end_record("split ZIP", disk=2),
        "begins on another disk": end_record("split ZIP", first_disk=1),
        # Z8
        "a directory of 4 GB": end_record("list of files in the ZIP is larger", size=2**32 - 9),
        "a directory over 8 MiB": end_record("list of files in the ZIP is larger", size=8 * 1024**2 + 1),
        "60,000 files counted": end_record("60,000 files; 20,000 is the limit", members=60_000),
        "2^63 files by zip64": end_record("20,000 is the limit", zip64=True, members=2**63),
        # Z16
        "zip64 is missing": end_record("lacks its zip64 record", directory=2**32 - 1),
        "zip64 elsewhere": end_record("zip64 record is not where", zip64=True, record_offset=5),
        "zip64 with a tail": end_record("zip64 record is not where", zip64=True, record_size=99),
        "zip64 without its mark": end_record("zip64 record is not where", zip64=True, record_mark=b"PK\0\0"),
        "zip64 on two disks": end_record("split ZIP", zip64=True, disks=2),
        "zip64 says otherwise": end_record("read in two ways", zip64=True, small=(3, 0xFFFFFFFF, 0xFFFFFFFF)),
        "zip64 has another place": end_record("read in two ways", zip64=True, small=(15, 0xFFFFFFFF, 0)),
        # Z11
        "a newline after the end": (lambda: good + b"\n", "after the end"),
        "a megabyte after the end": (lambda: good + bytes(1_000_000), "end is missing"),
        "a script before": (
            lambda: build(entries(), prefix=b"#!/bin/sh\nexit\n", shifted=False),
            "other data before",
        ),
        "a program before, offsets true": (
            lambda: build(entries(), prefix=b"MZ" + bytes(500)),
            "before “01_start.png”",
        ),
        "a picture before": (lambda: build(entries(), prefix=picture("JPEG")), "before “01_start.png”"),
        "two ZIPs in a row": (lambda: good + good, "other data before"),
        "something between the files": (
            lambda: build(with_one(Entry("a", gap=b"hidden"))),
            "other data",
        ),
        "a hidden file": (
            lambda: build(with_one(Entry("a", gap=Entry("hidden.png", b"x").local()))),
            "other data",
        ),
        "something before the directory": (
            lambda: build(entries(), before_directory=b"hidden"),
            "other data",
        ),
        "something after the directory": (
            lambda: build(entries(), after_directory=b"hidden"),
            "other data",
        ),
        "only an end over something": (lambda: build([], prefix=picture()), "before its list of files"),
        "only an end over nothing": (lambda: bytes(500) + build([]), "other data before"),
    }


def _sizes() -> dict[str, Case]:
    zeros = bytes(10_000_000)

    def with_sizes(**fields: object) -> Callable[[], bytes]:
        return lambda: build(with_one(Entry("06_start.png", picture(), **fields)))

    def zip64(*numbers: int) -> bytes:
        return extra(1, struct.pack(f"<{len(numbers)}Q", *numbers))

    return {
        # Z5
        "zeros": (lambda: packed({"01_start.png": zeros}, DEFLATED), "over 100 times its size"),
        "zeros as a caption": (lambda: packed(dataset() | {"01.txt": zeros}, DEFLATED), "over 100 times"),
        "zeros in an unused file": (lambda: packed(dataset() | {"a.bin": zeros}, DEFLATED), "over 100 times"),
        "many small bombs": (
            lambda: packed({f"{n}.bin": zeros[:990_000] for n in range(100)}, DEFLATED),
            "over 50 times its size",
        ),
        "10 GB declared": (with_sizes(size=10**10 & 0xFFFFFFFF, method=DEFLATED), "over 100 times its size"),
        "a petabyte declared": (
            lambda: build(with_one(Entry("a", b"x", size=2**32 - 1, extra=zip64(2**50), method=DEFLATED))),
            "over 100 times its size",
        ),
        "30 GB in all": (
            lambda: build(
                [
                    Entry(f"{n}", size=2**32 - 1, packed_size=2**32 - 1, extra=zip64(2**32, 2**32))
                    for n in range(8)
                ]
            ),
            "more than 20 GB",
        ),
        # Z6
        "unpacks to more than declared": (
            lambda: build(with_one(Entry("a", method=DEFLATED, raw=deflated(zeros), size=900_000))),
            "“a” is damaged",
        ),
        "the first bytes have the right CRC": (
            lambda: build(
                with_one(
                    Entry(
                        "a", bytes(1_000), method=DEFLATED, raw=deflated(zeros), crc=zlib.crc32(bytes(1_000))
                    )
                )
            ),
            "“a” is damaged",
        ),
        "unpacks to less than declared": (with_sizes(method=DEFLATED, size=2_000), "is damaged"),
        "goes on after its end": (
            lambda: build(with_one(Entry("a", b"xy", method=DEFLATED, raw=deflated(b"xy") + b"more"))),
            "“a” is damaged",
        ),
        "never ends": (
            lambda: build(with_one(Entry("a", b"xy" * 50, method=DEFLATED, raw=deflated(b"xy" * 50)[:-2]))),
            "“a” is damaged",
        ),
        "no deflate at all": (
            lambda: build(with_one(Entry("a", b"xy", method=DEFLATED, raw=b"\xff\xff\xff"))),
            "“a” is damaged",
        ),
        "stored, other size": (with_sizes(size=3), "does not have the size"),
        # Z7
        "a forged packed size": (
            lambda: build([Entry("a", b"x", packed_size=2**32 - 2, size=2**32 - 2)]),
            "overlaps another",
        ),
        "a forged size by zip64": (
            lambda: build(
                [Entry("a", b"x", packed_size=2**32 - 1, size=2**32 - 1, extra=zip64(2**34, 2**34))]
            ),
            "overlaps another",
        ),
        # Z16
        "sizes left to zip64, which is missing": (
            lambda: build([Entry("a", b"x", packed_size=2**32 - 1, size=2**32 - 1)]),
            "overlaps another",
        ),
        "zip64 of the wrong length": (
            lambda: build([Entry("a", b"x", packed_size=2**32 - 1, size=2**32 - 1, extra=extra(1, b"1234"))]),
            "list of files cannot be read",
        ),
        "zip64 twice": (lambda: build([Entry("a", b"x", extra=zip64(1, 1) * 2)]), "two sizes"),
        "an extra field that ends too soon": (
            lambda: build([Entry("a", b"x", extra=struct.pack("<HH", 1, 900))]),
            "list of files cannot be read",
        ),
        # Z21
        "a wrong CRC": (with_sizes(crc=7), "“06_start.png” is damaged"),
        "a wrong CRC in what is ignored": (
            lambda: build(with_one(Entry("__MACOSX/._x", b"x", crc=7))),
            "is damaged in the ZIP",
        ),
    }


def _overlaps() -> dict[str, Case]:
    def full(method: int = DEFLATED) -> bytes:
        body = Entry("kernel.bin", bytes(200_000), method=method)
        others = [Entry(f"{n:04}", bytes(200_000), method=method, offset=0, raw=b"") for n in range(300)]
        for other in others:
            other.packed_size = body.packed_size
        listing = body.listed(0) + b"".join(other.listed(0) for other in others)
        local = body.local()
        return local + listing + End().packed(301, len(listing), len(local))

    def quoted() -> bytes:
        """Each member's data is the next one's local header and data, as a stored block."""
        data, places = deflated(b"a" * 5_000), []
        body = Entry("9.bin", b"a" * 5_000, method=DEFLATED).local()
        for number in range(8, -1, -1):
            inner = struct.pack("<BHH", 0, min(len(body), 65_535), min(len(body), 65_535) ^ 0xFFFF) + body
            entry = Entry(f"{number}.bin", body, method=DEFLATED, raw=inner)
            places.append(entry)
            body = entry.local()
        entry_list, offset, listing = list(reversed(places)), 0, b""
        for entry in entry_list:
            listing += entry.listed(offset)
            offset += 30 + len(entry.name) + 5
        listing += Entry("9.bin", b"a" * 5_000, method=DEFLATED, raw=data).listed(offset)
        return body + listing + End().packed(10, len(listing), len(body))

    def quine() -> bytes:
        whole = len(build([Entry("quine.png", b"")]))
        return build([Entry("quine.png", raw=b"", packed_size=whole, size=whole)])

    def backwards() -> bytes:
        one, other = Entry("a.bin", b"x" * 50), Entry("b.bin", b"y" * 50)
        other.offset = 10
        return build([one, other])

    return {
        # Z3
        "one body, 301 names": (full, "overlaps another"),
        # Z4
        "headers inside bodies": (quoted, "overlaps another"),
        "a file that holds the whole ZIP": (quine, "overlaps another"),
        "begins inside another": (backwards, "overlaps another"),
        "the same place twice": (
            lambda: build([Entry("a", b"x"), Entry("b", b"x", offset=0)]),
            "overlaps another",
        ),
        # Z10
        "begins after the end": (lambda: build([Entry("a", b"x", offset=2**31)]), "other data"),
        "begins elsewhere": (lambda: build(with_one(Entry("a", b"x", offset=9_000))), "other data"),
    }


def _contradictions() -> dict[str, Case]:
    def with_local_header(why: str = "two different ways", **fields: object) -> Case:
        return (lambda: build(with_one(Entry("06.txt", b"caption", **fields)))), why

    return {
        # Z10
        "another name": with_local_header("two different names", local_name=b"07.txt"),
        "a longer name": with_local_header("two different names", local_name=b"06.txt.exe"),
        "another method": with_local_header(local_method=DEFLATED),
        "another CRC": with_local_header(local_crc=1),
        "another size": with_local_header(local_size=6),
        "another packed size": with_local_header(local_packed_size=6),
        "no sizes though not streamed": with_local_header(local_size=0, local_packed_size=0, local_crc=0),
        "streamed with another CRC": with_local_header(flags=STREAMED, local_crc=1),
        "streamed, the descriptor says otherwise": with_local_header(
            flags=STREAMED, descriptor=b"PK\x07\x08" + struct.pack("<3L", 1, 7, 7)
        ),
        "streamed without a descriptor": with_local_header("other data", flags=STREAMED, descriptor=b""),
        "streamed, something in its place": with_local_header(
            "two different ways", flags=STREAMED, descriptor=b"x" * 16
        ),
        "streamed, a long descriptor": with_local_header("other data", flags=STREAMED, descriptor=b"x" * 30),
        "a descriptor though not streamed": with_local_header("other data", descriptor=b"x" * 16),
        "zip64 only in the local header, other size": with_local_header(
            local_size=2**32 - 1, local_packed_size=2**32 - 1, local_extra=extra(1, struct.pack("<2Q", 9, 9))
        ),
    }


HOSTILE: dict[str, Case] = {
    **not_a_zip(),
    **_names(),
    **_doubles(),
    **kinds_of_members(),
    **_ends(),
    **_sizes(),
    **_overlaps(),
    **_contradictions(),
    **wrong_content(),
    **bombs(),
}
