"""Pictures of every depth, colour space and file type, as cameras, scanners and editors write them."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from functools import cache
from typing import Any

from PIL import Image

GREY, RGB, GREY_ALPHA, RGBA = 0, 2, 4, 6  # the colour types of PNG


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png16(colour: int, size: tuple[int, int], pixel: Sequence[int], transparent: Sequence[int] = ()) -> bytes:
    """A PNG of 16 bits a channel, all of one pixel. `transparent` is the shade that counts as transparent."""
    return png(16, colour, size, pixel, transparent)


def png(
    depth: int, colour: int, size: tuple[int, int], pixel: Sequence[int], transparent: Sequence[int] = ()
) -> bytes:
    """The same in 1 to 16 bits a channel."""
    bits = "".join(f"{value:0{depth}b}" for value in pixel) * size[0]
    row = b"\0" + int(bits.ljust(-len(bits) % 8 + len(bits), "0"), 2).to_bytes(-(-len(bits) // 8))
    header = struct.pack(">IIBBBBB", *size, depth, colour, 0, 0, 0)
    shade = chunk(b"tRNS", struct.pack(f">{len(transparent)}H", *transparent)) if transparent else b""
    chunks = chunk(b"IHDR", header) + shade + chunk(b"IDAT", zlib.compress(row * size[1]))
    return b"\x89PNG\r\n\x1a\n" + chunks + chunk(b"IEND", b"")


@cache
def transparent_png(edge: int) -> bytes:
    """A square of half transparent pixels: a thousandth of what it takes when it is decoded."""
    packer = zlib.compressobj()
    row = b"\0" + bytes((40, 90, 160, 200)) * edge
    data = b"".join(packer.compress(row) for _ in range(edge)) + packer.flush()
    header = struct.pack(">IIBBBBB", edge, edge, 8, RGBA, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@cache
def many_scans(count: int) -> bytes:
    """A JPEG whose last scan comes `count` times: 12 bytes for about a millisecond of CPU."""
    jpeg = encoded(Image.new("RGB", (1000, 1000), "teal"), "JPEG", progressive=True)
    last = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    return jpeg[: -2 - len(last)] + last * count + b"\xff\xd9"


def commented(png: bytes, text: str) -> bytes:
    """The same picture in other bytes."""
    return png[:33] + chunk(b"tEXt", b"Comment\0" + text.encode()) + png[33:]


def profile(gamma: float = 2.2, space: bytes = b"RGB ") -> bytes:
    """An ICC profile: the wide primaries of Adobe RGB (1998) and a gamma; or grey with that gamma."""

    def xyz(*values: float) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))

    curve = b"curv\0\0\0\0" + struct.pack(">IHH", 1, round(gamma * 256), 0)
    text = b"a test profile\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(79),
        b"cprt": b"text\0\0\0\0none\0\0\0\0",
        b"wtpt": xyz(0.9642, 1.0, 0.8249),
    }
    if space == b"GRAY":
        tags |= {b"kTRC": curve}
    else:
        tags |= {b"rXYZ": xyz(0.60974, 0.31111, 0.01947), b"gXYZ": xyz(0.20528, 0.62567, 0.06087)}
        tags |= {b"bXYZ": xyz(0.14919, 0.06322, 0.74457), b"rTRC": curve, b"gTRC": curve, b"bTRC": curve}
    table, data, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        table += name + struct.pack(">II", at + len(data), len(value))
        data += value + bytes(-len(value) % 4)
    size = 128 + len(table) + len(data)
    header = struct.pack(">I4s4s4s4s4s12s4s", size, b"\0\0\0\0", b"\x02\x10\0\0", b"mntr", space, b"XYZ ",
                         bytes(12), b"acsp")  # fmt: skip
    header = header.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + table + data


def stating(png: bytes, **chunks: bytes) -> bytes:
    """The PNG with these chunks before its pixels, such as gAMA."""
    return png[:33] + b"".join(chunk(name.encode(), data) for name, data in chunks.items()) + png[33:]


def in_adobe_rgb(image: Image.Image, kind: str = "JPEG", index: str = "R03", space: int = 65535) -> bytes:
    """As a camera writes it that was set to Adobe RGB: only its EXIF data says so."""
    exif = Image.Exif()
    exif[0x8769] = {0xA001: space, 0xA005: {1: index}}
    return encoded(image, kind, exif=exif, quality=98)


def turned(image: Image.Image, kind: str = "JPEG", orientation: int = 6) -> bytes:
    """The image with an EXIF orientation: 6 says that it is to be turned to the right."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(image, kind, exif=exif)


def with_metadata(jpeg: bytes, count: int = 21) -> bytes:
    """The JPEG with `count` segments of 64 kB before its picture, as Photoshop writes them."""
    segment = b"\xff\xed" + struct.pack(">H", 65535) + b"Photoshop 3.0\0".ljust(65533, b"x")
    return jpeg[:2] + segment * count + jpeg[2:]
