"""The colour space that a picture states without an ICC profile, as an ICC profile.

A PNG states it by the chunks cICP, or gAMA and cHRM (PNG, third edition, 4.3 and 11.3.2), and a camera's JPEG
by the interoperability index of its EXIF data (DCF 2.0, 3.3). The description of the profile says how.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import IO, Any

Curve = Callable[[float], float]  # from a value in a file to light, both from 0 to 1
Matrix = tuple[tuple[float, ...], ...]
Point = tuple[float, float]  # x and y of CIE 1931

SIGNATURE = b"\x89PNG\r\n\x1a\n"
STATING = {b"cICP": 4, b"sRGB": 1, b"gAMA": 4, b"cHRM": 32}  # with their lengths
MOST_CHUNKS = 1000
D65, D50 = (0.3127, 0.3290), (0.3457, 0.3585)
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06), D65)
ADOBE_RGB = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), D65)
# By their numbers in ITU-T H.273.
PRIMARIES = {
    1: ("BT.709", SRGB),
    5: ("BT.601", ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), D65)),
    6: ("BT.601", ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65)),
    9: ("BT.2020", ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65)),
    11: ("DCI-P3", ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351))),
    12: ("Display P3", ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65)),
}
BRADFORD: Matrix = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
SAMPLES = 4096  # of a curve
LIKE_SRGB = 0.05  # share by which a gamma may differ from 1/2.2, which stands for the curve of sRGB
ADOBE_GAMMA = 563 / 256
COLOUR_SPACE, INTEROPERABILITY, INDEX = 0xA001, 0xA005, 1  # EXIF tags


def of_png(file: IO[bytes], mode: str, *, has_profile: bool) -> bytes | None:
    """The ICC profile, of mode L or RGB; empty for sRGB, None where the chunks state nothing that counts.

    `has_profile` says that the PNG has an ICC profile of its own, before which only cICP counts.
    """
    chunks = dict(_chunks(file))
    if b"cICP" in chunks:
        return _of_code_points(*chunks[b"cICP"], mode=mode)
    if has_profile or b"sRGB" in chunks or b"gAMA" not in chunks:
        return None
    gamma = int.from_bytes(chunks[b"gAMA"]) / 100_000
    if not 0.05 <= gamma <= 5:
        return None
    points = struct.unpack(">8I", chunks[b"cHRM"]) if b"cHRM" in chunks else ()
    white, red, green, blue = (
        [(points[at] / 100_000, points[at + 1] / 100_000) for at in (0, 2, 4, 6)]
        if points
        else (SRGB[3], *SRGB[:3])
    )
    is_like_srgb = abs(gamma * 2.2 - 1) < LIKE_SRGB
    curve = _srgb if is_like_srgb else _power(1 / gamma)
    name = f"gAMA {gamma:.3g}{' and cHRM' if points else ''} of the PNG"
    return _profile(name, (red, green, blue, white), curve, mode)


def of_exif(exif: Mapping[int, Any], interoperability: Mapping[int, Any], mode: str) -> bytes | None:
    """The ICC profile of Adobe RGB where EXIF data states it; None otherwise."""
    if exif.get(COLOUR_SPACE) == 1 or str(interoperability.get(INDEX, "")).strip("\0 ") != "R03":
        return None
    return _profile("Adobe RGB by its EXIF data", ADOBE_RGB, _power(ADOBE_GAMMA), mode)


def _chunks(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Those before the pixels that state colours. The file is left somewhere behind them."""
    file.seek(0)
    if file.read(len(SIGNATURE)) != SIGNATURE:
        return
    for _ in range(MOST_CHUNKS):
        head = file.read(8)
        if len(head) < 8 or head[4:] in (b"IDAT", b"IEND"):
            return
        length = int.from_bytes(head[:4])
        if STATING.get(head[4:]) == length:
            content = file.read(length)
            if len(content) == length:
                yield head[4:], content
            file.seek(4, 1)
        else:
            file.seek(length + 4, 1)


def _of_code_points(
    primaries: int, transfer: int, matrix: int, full_range: int, *, mode: str
) -> bytes | None:
    """The colour space of a cICP chunk; None for numbers that no picture has."""
    if primaries not in PRIMARIES or transfer not in TRANSFERS or matrix or full_range != 1:
        return None
    if (primaries, transfer) == (1, 13):
        return b""
    (space, points), (curve_name, curve) = PRIMARIES[primaries], TRANSFERS[transfer]
    return _profile(f"{space}, {curve_name}", points, curve, mode)


@lru_cache(maxsize=64)
def _profile(name: str, points: tuple[Point, ...], curve: Curve, mode: str) -> bytes | None:
    """An ICC profile, version 2. None where the points span no colours."""
    samples = [round(65535 * min(1.0, max(0.0, curve(at / (SAMPLES - 1))))) for at in range(SAMPLES)]
    light = b"curv\0\0\0\0" + struct.pack(f">I{SAMPLES}H", SAMPLES, *samples)
    text = name.encode("ascii") + b"\0"
    tags = {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78),
        b"cprt": b"text\0\0\0\0none\0",
        b"wtpt": _xyz(_of_point(D50)),
    }
    if mode == "L":
        tags[b"kTRC"] = light
    else:
        try:
            columns = _adapted(points)
        except (ZeroDivisionError, struct.error):
            return None
        tags |= {
            name: _xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)
        }
        tags |= {b"rTRC": light, b"gTRC": light, b"bTRC": light}
    return _packed(tags, b"GRAY" if mode == "L" else b"RGB ")


def _packed(tags: Mapping[bytes, bytes], space: bytes) -> bytes:
    table, data, places = struct.pack(">I", len(tags)), b"", dict[bytes, int]()
    begin = 128 + 4 + 12 * len(tags)
    for name, value in tags.items():
        if value not in places:  # the three channels have one curve
            places[value] = begin + len(data)
            data += value + bytes(-len(value) % 4)
        table += name + struct.pack(">II", places[value], len(value))
    size = 128 + len(table) + len(data)
    head = struct.pack(">I4s4s4s4s4s", size, b"", b"\x02\x40\0\0", b"mntr", space, b"XYZ ")
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp")
    white = struct.pack(">3i", *(round(value * 65536) for value in _of_point(D50)))
    return (head.ljust(68, b"\0") + white).ljust(128, b"\0") + table + data


def _xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))


def _of_point(point: Point) -> tuple[float, ...]:
    x, y = point
    return x / y, 1.0, (1 - x - y) / y


def _adapted(points: tuple[Point, ...]) -> tuple[tuple[float, ...], ...]:
    """XYZ of red, green and blue under the white of ICC profiles.

    Raises ZeroDivisionError where the points lie on a line.
    """
    *primaries, white = map(_of_point, points)
    shares = _times(_inverse(_transposed(primaries)), white)
    to_cones = [_times(BRADFORD, _of_point(D50)), _times(BRADFORD, white)]
    scale = tuple(wanted / given for wanted, given in zip(*to_cones, strict=True))
    back = _inverse(BRADFORD)
    return tuple(
        _times(back, tuple(s * share * value for s, value in zip(scale, _times(BRADFORD, each), strict=True)))
        for each, share in zip(primaries, shares, strict=True)
    )


def _times(matrix: Matrix, vector: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)


def _transposed(rows: list[tuple[float, ...]]) -> Matrix:
    return tuple(zip(*rows, strict=True))


def _inverse(m: Matrix) -> Matrix:
    (a, b, c), (d, e, f), (g, h, i) = m
    cofactors = ((e * i - f * h, c * h - b * i, b * f - c * e), (f * g - d * i, a * i - c * g, c * d - a * f),
                 (d * h - e * g, b * g - a * h, a * e - b * d))  # fmt: skip
    determinant = a * cofactors[0][0] + b * cofactors[1][0] + c * cofactors[2][0]
    return tuple(tuple(value / determinant for value in row) for row in cofactors)


@lru_cache(maxsize=64)
def _power(exponent: float) -> Curve:
    return lambda value: math.pow(value, exponent)


def _srgb(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def _bt709(value: float) -> float:
    return value / 4.5 if value < 0.081 else ((value + 0.099) / 1.099) ** (1 / 0.45)


def _pq(value: float) -> float:
    """BT.2100. Its reference white, 203 of 10,000 cd/m², is white, and so is what is brighter."""
    root = math.pow(value, 1 / 78.84375)
    light = max(0.0, root - 0.8359375) / (18.8515625 - 18.6875 * root)
    return math.pow(light, 1 / 0.1593017578125) * 10_000 / 203


def _hlg(value: float) -> float:
    """BT.2100, with reference white at 75 %."""
    return _hlg_light(value) / _hlg_light(0.75)


def _hlg_light(value: float) -> float:
    if value <= 0.5:
        return value * value / 3
    return (math.exp((value - 0.55991073) / 0.17883277) + 0.28466892) / 12


TRANSFERS: dict[int, tuple[str, Curve]] = {
    **dict.fromkeys((1, 6, 14, 15), ("transfer of video", _bt709)),
    4: ("gamma 2.2", _power(2.2)),
    5: ("gamma 2.8", _power(2.8)),
    8: ("linear", _power(1.0)),
    13: ("transfer of sRGB", _srgb),
    16: ("HDR (PQ)", _pq),
    18: ("HDR (HLG)", _hlg),
}
