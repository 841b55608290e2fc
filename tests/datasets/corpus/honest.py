"""The same good dataset as every common zipper writes it, and datasets that are unusual but right."""

from __future__ import annotations

import io
import struct
import unicodedata
import zipfile
from collections.abc import Callable

from PIL import Image, PngImagePlugin

from tests.datasets.corpus.zip_builder import (
    CAPTION,
    DEFLATED,
    STORED,
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

TIMES_LOCAL = extra(0x5455, b"\x03" + bytes(8)) + extra(0x7875, b"\x01\x04\xe8\x03\0\0\x04\xe8\x03\0\0")
TIMES_LISTED = extra(0x5455, b"\x03" + bytes(4)) + extra(0x7875, b"\x01\x04\xe8\x03\0\0\x04\xe8\x03\0\0")
UNSET = 2**32 - 1


def _folder(name: str, **fields: object) -> Entry:
    return Entry(name, mode=0o40755, **fields)


def _named(names: str) -> dict[str, bytes]:
    """A good dataset whose pairs are called `names`, a word each."""
    files = {}
    for number, name in enumerate(names.split()):
        files[f"{name}_start.png"] = picture(colour=(number, 1, 1))
        files[f"{name}_end.png"] = picture(colour=(number, 9, 9))
        files[f"{name}.txt"] = CAPTION
    return files


def _zip64_sizes(entry: Entry) -> Entry:
    numbers = struct.pack("<2Q", entry.size or 0, entry.packed_size or 0)
    return Entry(
        entry.name,
        entry.data,
        crc=entry.crc,
        size=UNSET,
        packed_size=UNSET,
        version=45,
        extra=extra(1, numbers),
    )


def _finder() -> bytes:
    members = [_folder("set/", extra=TIMES_LISTED, local_extra=TIMES_LOCAL)]
    for name, data in (dataset(folder="set/") | {"set/.DS_Store": b"Bud1"}).items():
        times = {"extra": TIMES_LISTED, "local_extra": TIMES_LOCAL}
        members.append(Entry(name, data, method=DEFLATED, flags=STREAMED, version=20, **times))
        shadow = f"__MACOSX/set/._{name.removeprefix('set/')}"
        members.append(Entry(shadow, b"\0\5\x16\x07", method=DEFLATED, flags=STREAMED))
    return build(members)


def _jar() -> bytes:
    first = [
        Entry("META-INF/", mode=0, extra=extra(0xCAFE, b"")),
        Entry("META-INF/MANIFEST.MF", b"Manifest-Version: 1.0\r\n"),
    ]
    return build(first + entries(method=DEFLATED, flags=STREAMED | UTF8, mode=0, system=0))


def _dot_net() -> bytes:
    return build([Entry("set\\", mode=0, system=0), *entries(dataset(folder="set\\"), mode=0, system=0)])


def _no_mark(form: str) -> Callable[[], bytes]:
    """Descriptors without their signature, which the format allows."""

    def make() -> bytes:
        members = entries(method=DEFLATED)
        for entry in members:
            entry.flags = STREAMED
            entry.descriptor = struct.pack(form, entry.crc, entry.packed_size, entry.size)
        return build(members)

    return make


def _streamed_zip64() -> bytes:
    members = entries(method=DEFLATED, local_extra=extra(1, bytes(16)), version=45)
    for entry in members:
        entry.flags, entry.local_size, entry.local_packed_size = STREAMED, UNSET, UNSET
        entry.descriptor = b"PK\x07\x08" + struct.pack("<LQQ", entry.crc, entry.packed_size, entry.size)
    return build(members, End(zip64=True))


def _code_page() -> bytes:
    """Info-ZIP on Windows: the name in the code page, and in UTF-8 beside it."""
    members = []
    for name, data in _named("größe ärger öl übung maß").items():
        raw = name.encode("cp850")
        members.append(Entry(raw, data, extra=unicode_path(raw, name), system=0, mode=0))
    return build(members)


def _old_mac() -> bytes:
    """UTF-8 without saying so, in decomposed spelling."""
    named = _named("größe ärger öl übung maß").items()
    return build([Entry(unicodedata.normalize("NFD", name).encode(), data, flags=0) for name, data in named])


def _shuffled() -> bytes:
    """The directory lists the members in another order than they lie in."""
    members, body, places = entries(), b"", []
    for entry in reversed(members):
        places.append((entry, len(body)))
        body += entry.local()
    listing = b"".join(entry.listed(place) for entry, place in reversed(places))
    return body + listing + End().packed(len(members), len(listing), len(body))


def _commented() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.comment = "hats, by Ünal\n".encode() * 40
        for name, content in dataset().items():
            info = zipfile.ZipInfo(name)
            info.comment = b"the hat looks best here"
            archive.writestr(info, content)
    return data.getvalue()


def _image(kind: str, mode: str = "RGB", **options: object) -> bytes:
    data = io.BytesIO()
    Image.new(mode, (320, 256)).save(data, kind, **options)
    return data.getvalue()


def _unusual_pictures() -> bytes:
    note = PngImagePlugin.PngInfo()
    note.add_itxt("prompt", "a hat " * 500, zip=True)
    kinds = {
        "progressive": _image("JPEG", progressive=True),
        "grey": _image("JPEG", "L"),
        "restarting": _image("JPEG", restart_marker_blocks=4),
        "palette": _image("PNG", "P"),
        "black": _image("PNG", "1"),
        "noted": _image("PNG", pnginfo=note),
        "phone": _image("MPO", save_all=True, append_images=[Image.new("RGB", (320, 256), "red")]),
        "profiled": _image("PNG", icc_profile=bytes(400)),
    }
    files: dict[str, bytes] = {}
    for name, data in kinds.items():
        suffix = "png" if data.startswith(b"\x89PNG") else "jpg"
        files |= {f"{name}_start.{suffix}": data, f"{name}_end.png": picture(colour=(3, 4, 5))}
    return packed(files)


def _twenty_thousand() -> bytes:
    small = picture(size=(16, 16)), picture(size=(16, 16), colour=(1, 1, 1))
    files = {}
    for number in range(6_666):
        files[f"{number:04}_start.png"], files[f"{number:04}_end.png"] = small
        files[f"{number:04}.txt"] = CAPTION
    return packed(files)


LARGEST = "20,000 small files"  # it takes as long as all others together
HONEST: dict[str, Callable[[], bytes]] = {
    "Python, stored": lambda: packed(dataset(), STORED),
    "Python, deflated": lambda: packed(dataset(), DEFLATED),
    "Python, level 9": lambda: build(
        [Entry(n, d, method=DEFLATED, raw=deflated(d, 9)) for n, d in dataset().items()]
    ),
    "Python, level 0": lambda: build(
        [Entry(n, d, method=DEFLATED, raw=deflated(d, 0)) for n, d in dataset().items()]
    ),
    "Info-ZIP on Linux": lambda: build(
        [_folder("set/"), *entries(dataset(folder="set/"), extra=TIMES_LISTED, local_extra=TIMES_LOCAL)]
    ),
    "Info-ZIP into a pipe": lambda: build(entries(method=DEFLATED, flags=STREAMED)),
    "Info-ZIP into a pipe, zip64": _streamed_zip64,
    "Info-ZIP on Windows": _code_page,
    "7-Zip": lambda: build(entries(extra=extra(0x000A, bytes(32)), local_extra=b"", system=0, mode=0o100644)),
    "7-Zip, deflated": lambda: build(
        entries(method=DEFLATED, extra=extra(0x000A, bytes(32)), local_extra=b"")
    ),
    "Windows Explorer": lambda: build(entries(method=DEFLATED, flags=0x2, system=11, mode=0)),
    "Windows Explorer, a folder": lambda: build(entries(dataset(folder="Neuer Ordner/"), system=11, mode=0)),
    "old .NET with backslashes": _dot_net,
    "macOS Finder": _finder,
    "older macOS, names in UTF-8 without the flag": _old_mac,
    "Java's jar": _jar,
    "Ant, deflated folders": lambda: build(
        [Entry("set/", method=DEFLATED), *entries(dataset(folder="set/"))]
    ),
    "the UTF-8 flag in one place only": lambda: build(with_one(Entry("ä.txt", b"x", local_flags=0))),
    "Go": lambda: build(entries(method=DEFLATED, flags=STREAMED, mode=0, extra=extra(0x5455, bytes(5)))),
    "a browser, stored and streamed": lambda: build(entries(flags=STREAMED | UTF8, mode=0)),
    "Android, padded": lambda: build(entries(local_extra=bytes(3), mode=0)),
    "bsdtar with ./": lambda: build([_folder("./"), *entries(dataset(folder="./"))]),
    "descriptors without a mark": _no_mark("<3L"),
    "zip64 descriptors without a mark": _no_mark("<LQQ"),
    "zip64 in every member": lambda: build([_zip64_sizes(entry) for entry in entries()], End(zip64=True)),
    "zip64 only at the end": lambda: build(entries(), End(zip64=True)),
    "zip64 with true small numbers": lambda: build(entries(), End(zip64=True, small=(15, UNSET, UNSET))),
    "zip64 where it is not needed": lambda: build(entries(extra=extra(1, bytes(24)), local_extra=b"")),
    "comments": _commented,
    "members in another order": _shuffled,
    "folders listed twice": lambda: build([_folder("a/"), _folder("a/"), *entries(dataset(folder="a/"))]),
    "folders in folders": lambda: packed(dataset(3, folder="day/") | dataset(3, folder="night/deep/er/")),
    "Japanese": lambda: packed(_named("前 後ろ 帽子 山／川 ｶﾀｶﾅ")),
    "Arabic and Persian": lambda: packed(_named("قبل بعد می\u200cخواهم قبعة بيت")),
    "Cyrillic, Greek, Thai, Hindi, emoji": lambda: packed(_named("шляпа καπέλο หมวก टोपी 👩\u200d🎨")),
    "names with everything": lambda: packed(_named("a.b it's (1) #%&+,;=@[]^{}~! x...")),
    "unpadded numbers, as the provider's own": lambda: packed(
        _named("1 2 3 4 5 6 7 8") | {"README.md": b"# hats"}
    ),
    "byte order marks and WebP, as the provider's own": lambda: packed(
        dataset(8) | {"1.txt": b"x", "01.txt": b"\xef\xbb\xbfa hat\n", "08_end.png": picture("WEBP")}
    ),
    "upper case": lambda: packed({name.upper(): data for name, data in dataset().items()}),
    "JPEG": lambda: packed(dataset(kind="JPEG", suffix="jpg")),
    "JPEG as .jpeg": lambda: packed(dataset(kind="JPEG", suffix="jpeg")),
    "no captions": lambda: packed({name: data for name, data in dataset().items() if name.endswith("png")}),
    "unusual pictures": _unusual_pictures,
    LARGEST: _twenty_thousand,
}
