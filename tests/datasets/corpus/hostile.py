"""What a broken program or an attacker may send, each with a piece of the reason that its owner must hear.

The letters and numbers are those of docs/reliability.md, 3.2: Z3 is full overlap, and so on.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable

from tests.datasets.corpus.hostile_content import Case, kinds_of_members, not_a_zip, wrong_content
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
        f"Z12 {ascii(name)[:30]} ({number})": (lambda name=name: build(with_one(Entry(name, b"x"))), why)
        for number, (name, why) in enumerate(names)
    } | {
        "Z12 another name in the Unicode field": (
            lambda: build(with_one(Entry("a.png", extra=unicode_path(b"a.png", "b.png")))),
            "also called “b.png”",
        ),
        "Z12 another name in the local Unicode field": (
            lambda: build(with_one(Entry("a.png", local_extra=unicode_path(b"a.png", "b.png")))),
            "also called “b.png”",
        ),
        "Z12 a way out in the Unicode field": (
            lambda: build(with_one(Entry(b"\x84.png", extra=unicode_path(b"\x84.png", "../ä.png")))),
            "points outside",
        ),
        "Z12 two Unicode fields": (
            lambda: build(with_one(Entry(b"\x84", extra=2 * unicode_path(b"\x84", "ä")))),
            "two sizes or two names",
        ),
        "Z12 not UTF-8 though it says so": (
            lambda: build(with_one(Entry(b"\xff\xfe.png", flags=UTF8))),
            "list of files cannot be read",
        ),
    }


def _doubles() -> dict[str, Case]:
    twins = {
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
        f"Z13 {name}": (lambda twin=twin: build(with_one(Entry(twin, b"x"))), why)
        for name, (twin, why) in twins.items()
    } | {
        "Z13 two Unicode spellings": (
            lambda: build([*entries(), Entry("\u00e9.png"), Entry("e\u0301.png")]),
            "twice",
        ),
        "Z13 sharp s": (lambda: build([*entries(), Entry("straße.png"), Entry("STRASSE.png")]), "twice"),
        "Z13 backslash and slash": (
            lambda: build([*entries(), Entry("a/b.png"), Entry("a\\b.png")]),
            "twice",
        ),
    }


def _ends() -> dict[str, Case]:
    def bent(why: str, **fields: object) -> Case:
        return (lambda: build(entries(), End(**fields))), why  # type: ignore[arg-type]

    good = build(entries())
    return {
        "Z9 too few counted": bent("lists 15 files but counts 14", members=14),
        "Z9 too many counted": bent("lists 15 files but counts 16", members=16),
        "Z9 none counted": bent("counts 0", members=0),
        "Z9 two counts": bent("split ZIP", members_here=3),
        "Z9 the directory too early": bent("other data before the ZIP", directory=10),
        "Z9 the directory too late": bent("not where it should be", directory=2**31),
        "Z9 the directory too short": bent("other data before the ZIP", size=46),
        "Z9 the directory too long": bent("not where it should be", size=7_000),
        "Z9 a comment that is cut off": bent("cut off", comment_length=7),
        "Z9 a comment that ends early": bent("after the end", comment=b"hello", comment_length=2),
        "Z9 a second end in the comment": bent("read in two ways", comment=build([])),
        "Z9 a whole ZIP in the comment": bent("read in two ways", comment=build(entries())),
        "Z9 two ends": (lambda: build([Entry("a")], End(comment=build([]))), "read in two ways"),
        "Z9 an entry that reaches past the directory": (
            lambda: build(with_one(Entry("a", b"x", comment_length=22))),
            "list of files cannot be read",
        ),
        "Z17 the third disk": bent("split ZIP", disk=2),
        "Z17 begins on another disk": bent("split ZIP", first_disk=1),
        "Z8 a directory of 4 GB": bent("list of files in the ZIP is larger", size=2**32 - 9),
        "Z8 a directory over 8 MiB": bent("list of files in the ZIP is larger", size=8 * 1024**2 + 1),
        "Z8 60,000 files counted": bent("60,000 files; 20,000 is the limit", members=60_000),
        "Z8 2^63 files by zip64": bent("20,000 is the limit", zip64=True, members=2**63),
        "Z16 zip64 is missing": bent("lacks its zip64 record", directory=2**32 - 1),
        "Z16 zip64 elsewhere": bent("zip64 record is not where", zip64=True, record_offset=5),
        "Z16 zip64 with a tail": bent("zip64 record is not where", zip64=True, record_size=99),
        "Z16 zip64 without its mark": bent("zip64 record is not where", zip64=True, record_mark=b"PK\0\0"),
        "Z16 zip64 on two disks": bent("split ZIP", zip64=True, disks=2),
        "Z16 zip64 says otherwise": bent("read in two ways", zip64=True, small=(3, 0xFFFFFFFF, 0xFFFFFFFF)),
        "Z16 zip64 has another place": bent("read in two ways", zip64=True, small=(15, 0xFFFFFFFF, 0)),
        "Z11 a newline after the end": (lambda: good + b"\n", "after the end"),
        "Z11 a megabyte after the end": (lambda: good + bytes(1_000_000), "end is missing"),
        "Z11 a script before": (
            lambda: build(entries(), prefix=b"#!/bin/sh\nexit\n", shifted=False),
            "other data before",
        ),
        "Z11 a program before, offsets true": (
            lambda: build(entries(), prefix=b"MZ" + bytes(500)),
            "before “01_start.png”",
        ),
        "Z11 a picture before": (lambda: build(entries(), prefix=picture("JPEG")), "before “01_start.png”"),
        "Z11 two ZIPs in a row": (lambda: good + good, "other data before"),
        "Z11 something between the files": (
            lambda: build(with_one(Entry("a", gap=b"hidden"))),
            "other data",
        ),
        "Z11 a hidden file": (
            lambda: build(with_one(Entry("a", gap=Entry("hidden.png", b"x").local()))),
            "other data",
        ),
        "Z11 something before the directory": (
            lambda: build(entries(), before_directory=b"hidden"),
            "other data",
        ),
        "Z11 something after the directory": (
            lambda: build(entries(), after_directory=b"hidden"),
            "other data",
        ),
        "Z11 only an end over something": (lambda: build([], prefix=picture()), "before its list of files"),
        "Z11 only an end over nothing": (lambda: bytes(500) + build([]), "other data before"),
    }


def _sizes() -> dict[str, Case]:
    zeros = bytes(10_000_000)

    def lying(**fields: object) -> Callable[[], bytes]:
        return lambda: build(with_one(Entry("06_start.png", picture(), **fields)))  # type: ignore[arg-type]

    def zip64(*numbers: int) -> bytes:
        return extra(1, struct.pack(f"<{len(numbers)}Q", *numbers))

    return {
        "Z5 zeros": (lambda: packed({"01_start.png": zeros}, DEFLATED), "over 100 times its size"),
        "Z5 zeros as a caption": (lambda: packed(dataset() | {"01.txt": zeros}, DEFLATED), "over 100 times"),
        "Z5 zeros in a stranger": (lambda: packed(dataset() | {"a.bin": zeros}, DEFLATED), "over 100 times"),
        "Z5 many small bombs": (
            lambda: packed({f"{n}.bin": zeros[:990_000] for n in range(100)}, DEFLATED),
            "over 50 times its size",
        ),
        "Z5 10 GB told": (lying(size=10**10 & 0xFFFFFFFF, method=DEFLATED), "over 100 times its size"),
        "Z5 a petabyte told": (
            lambda: build(with_one(Entry("a", b"x", size=2**32 - 1, extra=zip64(2**50), method=DEFLATED))),
            "over 100 times its size",
        ),
        "Z5 30 GB in all": (
            lambda: build(
                [
                    Entry(f"{n}", size=2**32 - 1, packed_size=2**32 - 1, extra=zip64(2**32, 2**32))
                    for n in range(8)
                ]
            ),
            "more than 20 GB",
        ),
        "Z6 unpacks to more than told": (
            lambda: build(with_one(Entry("a", method=DEFLATED, raw=deflated(zeros), size=900_000))),
            "“a” is damaged",
        ),
        "Z6 the first bytes have the right CRC": (
            lambda: build(
                with_one(
                    Entry(
                        "a", bytes(1_000), method=DEFLATED, raw=deflated(zeros), crc=zlib.crc32(bytes(1_000))
                    )
                )
            ),
            "“a” is damaged",
        ),
        "Z6 unpacks to less than told": (lying(method=DEFLATED, size=2_000), "is damaged"),
        "Z6 goes on after its end": (
            lambda: build(with_one(Entry("a", b"xy", method=DEFLATED, raw=deflated(b"xy") + b"more"))),
            "“a” is damaged",
        ),
        "Z6 never ends": (
            lambda: build(with_one(Entry("a", b"xy" * 50, method=DEFLATED, raw=deflated(b"xy" * 50)[:-2]))),
            "“a” is damaged",
        ),
        "Z6 no deflate at all": (
            lambda: build(with_one(Entry("a", b"xy", method=DEFLATED, raw=b"\xff\xff\xff"))),
            "“a” is damaged",
        ),
        "Z6 stored, other size": (lying(size=3), "does not have the size"),
        "Z7 a forged packed size": (
            lambda: build([Entry("a", b"x", packed_size=2**32 - 2, size=2**32 - 2)]),
            "overlaps another",
        ),
        "Z7 a forged size by zip64": (
            lambda: build(
                [Entry("a", b"x", packed_size=2**32 - 1, size=2**32 - 1, extra=zip64(2**34, 2**34))]
            ),
            "overlaps another",
        ),
        "Z16 sizes left to zip64, which is missing": (
            lambda: build([Entry("a", b"x", packed_size=2**32 - 1, size=2**32 - 1)]),
            "overlaps another",
        ),
        "Z16 zip64 of the wrong length": (
            lambda: build([Entry("a", b"x", packed_size=2**32 - 1, size=2**32 - 1, extra=extra(1, b"1234"))]),
            "list of files cannot be read",
        ),
        "Z16 zip64 twice": (lambda: build([Entry("a", b"x", extra=zip64(1, 1) * 2)]), "two sizes"),
        "Z16 an extra field that ends too soon": (
            lambda: build([Entry("a", b"x", extra=struct.pack("<HH", 1, 900))]),
            "list of files cannot be read",
        ),
        "Z21 a wrong CRC": (lying(crc=7), "“06_start.png” is damaged"),
        "Z21 a wrong CRC in what is ignored": (
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
        "Z3 one body, 301 names": (full, "overlaps another"),
        "Z4 headers inside bodies": (quoted, "overlaps another"),
        "Z4 a file that holds the whole ZIP": (quine, "overlaps another"),
        "Z4 begins inside another": (backwards, "overlaps another"),
        "Z4 the same place twice": (
            lambda: build([Entry("a", b"x"), Entry("b", b"x", offset=0)]),
            "overlaps another",
        ),
        "Z10 begins after the end": (lambda: build([Entry("a", b"x", offset=2**31)]), "other data"),
        "Z10 begins elsewhere": (lambda: build(with_one(Entry("a", b"x", offset=9_000))), "other data"),
    }


def _contradictions() -> dict[str, Case]:
    def told(why: str = "two different ways", **fields: object) -> Case:
        return (lambda: build(with_one(Entry("06.txt", b"caption", **fields)))), why  # type: ignore[arg-type]

    return {
        "Z10 another name": told("two different names", local_name=b"07.txt"),
        "Z10 a longer name": told("two different names", local_name=b"06.txt.exe"),
        "Z10 the same name in another alphabet": (
            lambda: build(with_one(Entry("ä.txt", b"x", local_flags=0))),
            "two different names",
        ),
        "Z10 another method": told(local_method=DEFLATED),
        "Z10 another CRC": told(local_crc=1),
        "Z10 another size": told(local_size=6),
        "Z10 another packed size": told(local_packed_size=6),
        "Z10 no sizes though not streamed": told(local_size=0, local_packed_size=0, local_crc=0),
        "Z10 streamed with another CRC": told(flags=STREAMED, local_crc=1),
        "Z10 streamed, the descriptor says otherwise": told(
            flags=STREAMED, descriptor=b"PK\x07\x08" + struct.pack("<3L", 1, 7, 7)
        ),
        "Z10 streamed without a descriptor": told("other data", flags=STREAMED, descriptor=b""),
        "Z10 streamed, something in its place": told(
            "two different ways", flags=STREAMED, descriptor=b"x" * 16
        ),
        "Z10 streamed, a long descriptor": told("other data", flags=STREAMED, descriptor=b"x" * 30),
        "Z10 a descriptor though not streamed": told("other data", descriptor=b"x" * 16),
        "Z10 zip64 only in the local header, other size": told(
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
}
