"""Files that are not ZIPs, members that are not plain files, and content that is not what its name says."""

from __future__ import annotations

import gzip
import io
import stat
import struct
import tarfile
import zlib
from collections.abc import Callable

from tests.datasets.corpus.zip_builder import (
    DEFLATED,
    ENCRYPTED,
    Entry,
    build,
    dataset,
    entries,
    packed,
    picture,
    with_one,
)

# `...`: a lambda made in a loop holds the loop's variable as a default.
Case = tuple[Callable[..., bytes], str]


def not_a_zip() -> dict[str, Case]:
    def tar() -> bytes:
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as archive:
            archive.addfile(tarfile.TarInfo("01_start.png"))
        return data.getvalue()

    files = {
        "nothing": (b"", "The file is empty"),
        "one byte": (b"P", "not a readable ZIP"),
        "text": (b"hello " * 100, "not a readable ZIP"),
        "only zeros": (bytes(5_000), "not a readable ZIP"),
        "RAR": (b"Rar!\x1a\x07\x01\x00" + bytes(200), "a RAR archive"),
        "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(200), "a 7z archive"),
        "gzip": (gzip.compress(b"pictures"), "a gzip archive"),
        "bzip2": (b"BZh91AY&SY" + bytes(50), "a bzip2 archive"),
        "XZ": (b"\xfd7zXZ\x00" + bytes(50), "an XZ archive"),
        "tar": (tar(), "a tar archive"),
        "HTML": (b"<!DOCTYPE html><title>Sign in</title>", "a web page"),
        "PNG": (picture(), "a PNG picture"),
        "JPEG": (picture("JPEG"), "a JPEG picture"),
        "PDF": (b"%PDF-1.7\n", "a PDF"),
        "a program": (b"MZ" + bytes(300), "a Windows program"),
        "only the first mark": (b"PK\x03\x04", "cut off"),
        "one part of a split ZIP": (b"PK\x07\x08PK\x03\x04" + bytes(90), "split ZIP"),
        "an empty ZIP": (build([]), "The ZIP is empty"),
        "only a folder": (build([Entry("set/", mode=0o40755)]), "The ZIP is empty"),
        "only junk": (packed({"__MACOSX/._a.png": b"x", ".DS_Store": b"x"}), "The ZIP is empty"),
        "no pictures": (packed({"notes.txt": b"hello"}), "no pictures"),
        "no pairs": (packed({"cat.png": picture()}), "No picture is named as a pair"),
    }
    # Z1
    return {name: ((lambda data=data: data), why) for name, (data, why) in files.items()}


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))


def png(width: int, height: int, *more: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">2L5B", width, height, 8, 2, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(90)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(more) + pixels + chunk(b"IEND", b"")


def bombs() -> dict[str, Case]:
    """Made by their test alone, for to compress them takes a moment."""

    def bomb(kind: bytes, start: bytes, size: int) -> bytes:
        picture = png(300, 300, chunk(kind, start + zlib.compress(bytes(size))))
        return packed(dataset() | {"03_end.png": picture})

    return {
        # Z20
        "a PNG with a bomb in its text": (lambda: bomb(b"zTXt", b"Comment\0\0", 20_000_000), "is damaged"),
        "a PNG with a bomb as its profile": (lambda: bomb(b"iCCP", b"icc\0\0", 90_000_000), "is damaged"),
    }


def wrong_content() -> dict[str, Case]:
    def jpeg(width: int, height: int) -> bytes:
        data = bytearray(picture("JPEG"))
        at = data.index(b"\xff\xc0")
        data[at + 5 : at + 9] = struct.pack(">2H", height, width)
        return bytes(data)

    def webp(width: int, height: int) -> bytes:
        header = b"VP8X" + struct.pack("<L", 10) + bytes(4)
        header += (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        frame = picture("WEBP")[12:]
        return b"RIFF" + struct.pack("<L", 4 + len(header) + len(frame)) + b"WEBP" + header + frame

    wrong = {
        # Z20
        "a PNG of 20,000 x 20,000": (png(20_000, 20_000), "50 million pixels"),
        "a PNG of 2^31 x 2^31": (png(2**31 - 1, 2**31 - 1), "50 million pixels"),
        "a PNG one pixel high": (png(50_000_001, 1), "50 million pixels"),
        "a JPEG of 65,500 x 65,500": (jpeg(65_500, 65_500), "50 million pixels"),
        "a WebP of 16,000 x 16,000": (webp(16_000, 16_000), "has more than 50 million|is damaged"),
        # Z21
        "a PNG without its pixels": (png(300, 300), "is damaged"),
        "a PNG of no size": (png(0, 0), "is damaged"),
        "a JPEG that is cut off": (picture("JPEG")[:-200], "is damaged"),
        "a WebP that is cut off": (picture("WEBP")[:-20], "is damaged"),
        "only a PNG's mark": (picture()[:8], "is damaged"),
        # Z19
        "a script as a picture": (b"#!/bin/sh\nrm -rf ~\n", "a script"),
        "a web page as a picture": (b"<html><script>alert(1)</script>", "a web page"),
        "an SVG as a picture": (b"<?xml version='1.0'?><svg onload='x()'/>", "an SVG drawing"),
        "a program as a picture": (b"\x7fELF" + bytes(60), "a program"),
        "a GIF that is cut off": (picture("GIF")[:-40], "is damaged"),
        "a TIFF that is cut off": (picture("TIFF")[:-40], "is damaged"),
        "a HEIC as a picture": (b"\0\0\0\x18ftypheic" + bytes(60), "is damaged"),
        "a PDF as a picture": (b"%PDF-1.4", "a PDF"),
        # Z2
        "a ZIP as a picture": (packed(dataset(1)), "a ZIP archive"),
    }
    cases: dict[str, Case] = {
        name: ((lambda data=data: packed(dataset() | {"03_end.png": data})), why)
        for name, (data, why) in wrong.items()
    }
    for name, data, why in (
        # Z19
        ("a caption of another alphabet", "日本".encode("shift-jis"), "not UTF-8.*Shift-JIS"),
        ("a program as a caption", b"MZ\0\0", "no text that can be read"),
        ("half a character as a caption", "é".encode()[:1], "is not UTF-8"),
        ("a book as a caption", b"call me " * 9_000, "too long for a caption"),
    ):
        cases[name] = (lambda data=data: packed(dataset() | {"02.txt": data})), why
    inner = packed({"a.zip": packed({"b.zip": packed({"zeros": bytes(1_000)}, DEFLATED)})})
    for name in ("inner.zip", "inner.7z", "set/inner.tar.gz", "inner.RAR"):
        # Z2
        cases[f"an archive as {name}"] = (
            (lambda name=name: packed(dataset() | {name: inner})),
            "an archive in the ZIP",
        )
    cases["three ZIPs deep under a plain name"] = (
        lambda: packed(dataset() | {"model.bin": inner}),
        "really a ZIP archive",
    )
    cases["a pair without an end"] = (lambda: packed({"01_start.png": picture()}), "no _end picture")
    cases["two pictures for one half"] = (
        lambda: packed(dataset() | {"01_start.jpeg": picture("JPEG")}),
        "two pictures called",
    )
    return cases


def kinds_of_members() -> dict[str, Case]:
    modes = {"link": stat.S_IFLNK, "device": stat.S_IFCHR, "disk": stat.S_IFBLK, "pipe": stat.S_IFIFO}
    modes |= {"socket": stat.S_IFSOCK}
    cases: dict[str, Case] = {
        # Z14
        f"a {name}": (
            lambda mode=mode: build(with_one(Entry("06_start.png", b"/etc/passwd", mode=mode | 0o777))),
            "a link or a device",
        )
        for name, mode in modes.items()
    }
    for name, flags in (("a password", ENCRYPTED), ("strong", 0x41), ("masked headers", 0x2001)):
        # Z15
        cases[f"encrypted: {name}"] = (
            lambda flags=flags: build(entries(flags=flags)),
            "has a password",
        )
    cases["encrypted: AES"] = (lambda: build(entries(method=99)), "has a password")
    cases["encrypted: only the local header says so"] = (
        lambda: build(entries(local_flags=ENCRYPTED)),
        "two different ways",
    )
    for method in (1, 6, 9, 12, 14, 20, 93, 95, 97, 98):
        # Z17
        cases[f"method {method}"] = (
            lambda method=method: build(entries(method=method)),
            "few programs can read",
        )
    cases["on another disk"] = (lambda: build(entries(disk=3)), "split ZIP")
    cases["needs a later version"] = (lambda: build(entries(version=90)), "list of files cannot be read")
    cases["a folder with data"] = (
        lambda: build(with_one(Entry("set/", b"x", mode=0o40755))),
        "folder with data",
    )
    return cases
