"""ICC profiles for images that state their colours in another way: by chunks of a PNG, or by EXIF data.

Of a PNG, cICP counts before an embedded profile, and gAMA with cHRM after it and after sRGB (PNG, third
edition, 4.3). Gamma 0.45455 stands for the curve of sRGB. A JPEG or WebP without a profile is in Adobe RGB if
the interoperability index of its EXIF data says so (DCF 2.0, 3.3).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

Row = tuple[float, float, float]
LENGTHS = {"cICP": 4, "sRGB": 1, "gAMA": 4, "cHRM": 32}
WHITE = (0.3127, 0.3290)  # of daylight
BT_709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, *WHITE)
P3 = (0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
# x and y of red, green, blue and white, by the numbers of ITU-T H.273.
SPACES = {
    1: BT_709,
    5: (0.64, 0.33, 0.29, 0.60, 0.15, 0.06, *WHITE),
    6: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *WHITE),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *WHITE),
    11: (*P3, 0.314, 0.351),
    12: (*P3, *WHITE),
}
ADOBE_RGB = (0.64, 0.33, 0.21, 0.71, 0.15, 0.06, *WHITE)
# As in the ICC specification, 10.18: g, a, b, c and d of (ax + b)^g from d on, and cx below; or g of x^g.
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
VIDEO_CURVE = (1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081)
CURVES: dict[int, tuple[float, ...]] = {
    **dict.fromkeys((1, 6, 14, 15), VIDEO_CURVE),
    **{4: (2.2,), 5: (2.8,), 8: (1.0,), 13: SRGB_CURVE},
}
PQ, HLG = 16, 18
POINTS = 4096  # of a curve that has no formula in ICC profiles
D50 = (0.9642, 1.0, 0.8249)
CONES: tuple[Row, ...] = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))


@dataclass(frozen=True)
class Stated:
    """Primaries and white, and the curve: the parameters of a formula, or the number of one of H.273."""

    space: tuple[float, ...]
    curve: tuple[float, ...] | int


class Image(Protocol):
    """What of an opened image is read here."""

    info: dict[Any, Any]

    @property
    def format(self) -> str | None: ...
    @property
    def mode(self) -> str: ...
    def getexif(self) -> Any: ...


def profile_of(image: Image, content: bytes) -> bytes | None:
    """The ICC profile by which the colours are to be read; None for sRGB."""
    embedded = image.info.get("icc_profile") or None
    stated = _of_png(content, embedded is not None) if image.format == "PNG" else _of_exif(image, embedded)
    if stated is None:
        return embedded
    if stated == Stated(BT_709, SRGB_CURVE):
        return None
    is_grey = image.mode.startswith("I") or image.mode in ("1", "L", "LA")
    try:
        return _made(stated, is_grey)
    except (ZeroDivisionError, struct.error):
        return embedded


def _of_png(content: bytes, has_profile: bool) -> Stated | None:
    chunks, at = dict[str, bytes](), 8
    while (kind := content[at + 4 : at + 8]) not in (b"IDAT", b"IEND", b""):
        length = int.from_bytes(content[at : at + 4])
        if LENGTHS.get(kind.decode("latin-1")) == length:
            chunks[kind.decode("latin-1")] = content[at + 8 : at + 8 + length]
        at += length + 12
    if coded := chunks.get("cICP"):
        primaries, transfer, matrix, is_full = coded
        if primaries not in SPACES or transfer not in (*CURVES, PQ, HLG) or (matrix, is_full) != (0, 1):
            return None
        return Stated(SPACES[primaries], CURVES.get(transfer, transfer))
    gamma = int.from_bytes(chunks.get("gAMA", b"")) / 100_000
    if has_profile or "sRGB" in chunks or not 0.05 <= gamma <= 5:
        return None
    curve = SRGB_CURVE if abs(gamma * 2.2 - 1) < 0.05 else (1 / gamma,)
    if "cHRM" not in chunks:
        return Stated(BT_709, curve)
    white_first = [value / 100_000 for value in struct.unpack(">8I", chunks["cHRM"])]
    return Stated((*white_first[2:], *white_first[:2]), curve)


def _of_exif(image: Image, embedded: bytes | None) -> Stated | None:
    if embedded or image.format not in ("JPEG", "WEBP", "MPO") or image.mode == "CMYK":
        return None
    try:
        exif = image.getexif()
        index, space = exif.get_ifd(0xA005).get(1, ""), exif.get_ifd(0x8769).get(0xA001)
    except Exception:  # noqa: BLE001 - of whatever kind, it states nothing
        return None
    is_adobe = str(index).strip("\0 ") == "R03" and space != 1
    return Stated(ADOBE_RGB, (563 / 256,)) if is_adobe else None


@lru_cache(maxsize=16)
def _made(stated: Stated, is_grey: bool) -> bytes:
    """A profile of version 4. Raises ZeroDivisionError or struct.error for primaries that are none."""
    curve = _sampled(stated.curve) if isinstance(stated.curve, int) else _formula(stated.curve)
    name = "stated by the image".encode("utf-16-be")
    text = b"mluc\0\0\0\0" + struct.pack(">2I4s2I", 1, 12, b"enUS", len(name), 28) + name
    tags = [(b"desc", text), (b"cprt", text), (b"wtpt", _xyz(D50))]
    if is_grey:
        tags.append((b"kTRC", curve))
    else:
        columns = _columns(stated.space)
        tags += [
            (letter + b"XYZ", _xyz(column))
            for letter, column in zip((b"r", b"g", b"b"), columns, strict=True)
        ]
        tags += [(letter + b"TRC", curve) for letter in (b"r", b"g", b"b")]
    begin = 132 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    for tag, value in tags:
        table += tag + struct.pack(">2I", begin + len(data), len(value))
        data += value.ljust(-(-len(value) // 4) * 4, b"\0")
    kind = b"GRAY" if is_grey else b"RGB "
    head = struct.pack(">2I4s4s4s4s", begin + len(data), 0, b"\x04\x30\0\0", b"mntr", kind, b"XYZ ")
    head += struct.pack(">6H4s28x3i", 2026, 1, 1, 0, 0, 0, b"acsp", *map(_fixed, D50))
    return head.ljust(128, b"\0") + table + data


def _fixed(value: float) -> int:
    return round(value * 65536)


def _xyz(values: Sequence[float]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *map(_fixed, values))


def _formula(parameters: tuple[float, ...]) -> bytes:
    kind = 0 if len(parameters) == 1 else 3
    return b"para\0\0\0\0" + struct.pack(f">2H{len(parameters)}i", kind, 0, *map(_fixed, parameters))


@lru_cache(maxsize=2)
def _sampled(transfer: int) -> bytes:
    light: Callable[[float], float] = _of_pq if transfer == PQ else _of_hlg
    values = [min(65535, round(65535 * light(at / (POINTS - 1)))) for at in range(POINTS)]
    return b"curv\0\0\0\0" + struct.pack(f">I{POINTS}H", POINTS, *values)


def _of_pq(signal: float) -> float:
    """Light in shares of the reference white of 203 cd/m² (BT.2100, table 4)."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    power = math.pow(signal, 1 / m2)
    return 10_000 / 203 * math.pow(max(power - c1, 0.0) / (c2 - c3 * power), 1 / m1)


def _of_hlg(signal: float) -> float:
    """Light in shares of that at a signal of 0.75, the reference white (BT.2100, table 5)."""
    a = 0.17883277
    b, c = 1 - 4 * a, 0.5 - a * math.log(4 * a)
    scene, white = (x * x / 3 if x <= 0.5 else (math.exp((x - c) / a) + b) / 12 for x in (signal, 0.75))
    return scene / white


def _columns(space: tuple[float, ...]) -> list[Row]:
    """XYZ of red, green and blue, adapted to the white of ICC profiles by the Bradford transform."""
    points = [(x / y, 1.0, (1 - x - y) / y) for x, y in zip(space[::2], space[1::2], strict=True)]
    cones = [_through(CONES, point) for point in points]
    of_white = cones.pop()
    weights = _solved(cones, of_white)
    wanted = _through(CONES, D50)
    adapted = [
        [weight * cone * to / white for cone, to, white in zip(each, wanted, of_white, strict=True)]
        for weight, each in zip(weights, cones, strict=True)
    ]
    rows_as_columns = list(zip(*CONES, strict=True))
    return [_solved(rows_as_columns, each) for each in adapted]


def _through(matrix: Sequence[Sequence[float]], vector: Sequence[float]) -> Row:
    x, y, z = (sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)
    return x, y, z


def _solved(columns: Sequence[Sequence[float]], right: Sequence[float]) -> Row:
    """The weights of three columns that add up to `right`, by Cramer's rule."""
    first, second, third = columns
    whole = _volume(first, second, third)
    return (
        _volume(right, second, third) / whole,
        _volume(first, right, third) / whole,
        _volume(first, second, right) / whole,
    )


def _volume(a: Sequence[float], b: Sequence[float], c: Sequence[float]) -> float:
    return (
        a[0] * (b[1] * c[2] - b[2] * c[1])
        + a[1] * (b[2] * c[0] - b[0] * c[2])
        + a[2] * (b[0] * c[1] - b[1] * c[0])
    )
