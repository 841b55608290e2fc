"""What the quick look at a PNG accepts, Pillow accepts too, and says the same of it; the rest is Pillow's."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from finetune_portal.datasets.checker import images, plain_png
from finetune_portal.datasets.checker.images import Picture, Unusable

Parts = list[tuple[bytes, bytes]]


def png(mode: str = "RGB", size: tuple[int, int] = (7, 5), **options: Any) -> bytes:
    data = io.BytesIO()
    Image.linear_gradient("L").resize(size).convert(mode).save(data, "PNG", **options)
    return data.getvalue()


def parts_of(data: bytes) -> Parts:
    parts, at = [], len(plain_png.MARK)
    while at < len(data):
        length, kind = struct.unpack_from(">L4s", data, at)
        parts.append((kind, data[at + 8 : at + 8 + length]))
        at += 12 + length
    return parts


def joined(parts: Parts) -> bytes:
    packed = (
        struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))
        for kind, body in parts
    )
    return plain_png.MARK + b"".join(packed)


def by_pillow(data: bytes) -> Picture | None:
    """What `pictures.look` says where the quick look says nothing."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(plain_png, "MAX_BYTES", 0)
            return images.look(io.BytesIO(data), decode=True)
    except Unusable:
        return None


def agree(data: bytes) -> bool:
    """Whether the quick look took it; asserts that Pillow then says the same."""
    size = plain_png.size(data)
    if size:
        assert by_pillow(data) == Picture("PNG", size, ["tiny"])
    return size is not None


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("options", [{}, {"dpi": (72, 72)}, {"optimize": True}, {"compress_level": 0}])
def test_plain_ones_are_taken(mode: str, options: dict[str, Any]) -> None:
    assert agree(png(mode, **options))


def text() -> PngImagePlugin.PngInfo:
    found = PngImagePlugin.PngInfo()
    found.add_text("Raw profile type exif", "Exif")
    return found


NOT_PLAIN = {
    "see-through": png("RGBA"),
    "palette": png("P"),
    "one bit": png("1"),
    "16 bits": png("I;16"),
    "a colour that is see-through": png(transparency=(0, 0, 0)),
    "EXIF": png(exif=b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0"),
    "text": png(pnginfo=text()),
    "moves": png(save_all=True, append_images=[Image.new("RGB", (7, 5))]),
    "large": png("L", (600, 600)),
    "cut off": png()[:-5],
    "no end": png()[:-12],
    "more behind": png() + b"more",
    "another kind": b"GIF89a",
    "nothing": b"",
}


@pytest.mark.parametrize("name", NOT_PLAIN)
def test_the_rest_is_left_to_pillow(name: str) -> None:
    assert not agree(NOT_PLAIN[name])


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_one_byte_wrong_is_never_taken_for_plain(data: st.DataObject) -> None:
    good = bytearray(png(dpi=(72, 72)))
    place = data.draw(st.integers(0, len(good) - 1))
    good[place] = data.draw(st.integers(0, 255))
    agree(bytes(good))


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_whatever_its_parts_are_pillow_agrees(data: st.DataObject) -> None:
    """Parts swapped, doubled, left out, cut or made up, each with its right checksum."""
    parts = parts_of(png(data.draw(st.sampled_from(["L", "RGB"])), dpi=(72, 72)))
    (mark, packed), *_ = [part for part in parts if part[0] == b"IDAT"]
    pool = [
        *parts,
        (mark, packed[:9]),
        (mark, packed[9:]),
        (b"gAMA", bytes(4)),
        (b"sRGB", b""),
        (b"cHRM", b"1" * 32),
    ]
    head = bytearray(parts[0][1])
    head[data.draw(st.integers(0, 12))] = data.draw(st.integers(0, 8))
    pool.append((b"IHDR", bytes(head)))
    chosen = data.draw(st.lists(st.sampled_from(pool), max_size=6))
    agree(joined(data.draw(st.sampled_from([parts[:1], pool[-1:]])) + chosen + parts[-1:]))


@pytest.mark.parametrize("kind", [*plain_png.LENGTHS, b"tRNS", b"eXIf", b"acTL", b"zzZz"])
def test_an_added_part_of_any_length_is_taken_as_pillow_takes_it(kind: bytes) -> None:
    head, *rest = parts_of(png())
    for length in range(34):
        agree(joined([head, (kind, bytes(length)), *rest]))


@settings(max_examples=200, deadline=None)
@given(rows=st.binary(max_size=120), extra=st.binary(max_size=3))
def test_whatever_its_pixels_are_pillow_agrees(rows: bytes, extra: bytes) -> None:
    head, *_, end = parts_of(png())
    agree(joined([head, (b"IDAT", zlib.compress(rows.ljust(110, b"\0")) + extra), end]))
