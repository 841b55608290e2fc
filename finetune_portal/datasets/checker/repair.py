"""A ZIP made anew from the pairs of another: flat, truly named, captions in plain UTF-8. The source stays."""

from __future__ import annotations

import unicodedata
import zipfile
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageOps

from finetune_portal.datasets.checker import inspect, zip_members
from finetune_portal.datasets.checker.images import Picture
from finetune_portal.datasets.checker.layouts import Arrangement
from finetune_portal.datasets.checker.messages import Refused
from finetune_portal.datasets.checker.zip_members import Member

SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".png"}


def repaired(source: Path, target: Path) -> None:
    """Write the pairs of `source` to `target` with every repair done; raises Refused if that would not do."""
    with_captions(source, target, {})


def with_captions(source: Path, target: Path, captions: dict[str, str]) -> None:
    """The same, and the pair `index` is told by `captions[index]`; an empty text leaves it without a file."""
    try:
        with source.open("rb") as file, zipfile.ZipFile(target, "w") as packed:
            _write(file, packed, captions)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _write(file: BinaryIO, packed: zipfile.ZipFile, captions: dict[str, str]) -> None:
    content = inspect.read(file, zip_members.members(file))
    inspect.judge(content)
    if incurable := content.findings.incurable():
        raise Refused(incurable[0])
    pairs = content.arrangement.pairs
    for pair, name in zip(pairs, _names(content.arrangement), strict=True):
        for half, member in (("start", pair.start), ("end", pair.end)):
            _add_picture(packed, f"{name}_{half}", file, member, content.pictures[member.name])
        text = captions.get(pair.index, content.caption(pair)).strip().lstrip("\ufeff")
        if text:
            packed.writestr(zipfile.ZipInfo(f"{name}.txt"), text.encode("utf-8", "replace"))


def _names(arrangement: Arrangement) -> list[str]:
    """The pairs' own names where those stay distinct, else 01, 02, and so on."""
    names = [pair.index for pair in arrangement.pairs]
    distinct = {unicodedata.normalize("NFC", name).casefold().rstrip(". ") for name in names}
    is_ours = arrangement.layout in ("flat", "folder", "folders")
    if is_ours and len(distinct) == len(names) and not any("/" in name for name in names):
        return names
    width = max(2, len(str(len(names))))
    return [f"{number:0{width}}" for number in range(1, len(names) + 1)]


def _add_picture(
    packed: zipfile.ZipFile, name: str, file: BinaryIO, member: Member, picture: Picture
) -> None:
    info = zipfile.ZipInfo(name + SUFFIXES[picture.kind])
    info.file_size = member.size
    with packed.open(info, "w") as target:
        if picture.kind == "WEBP":
            with Image.open(inspect.held(file, member), formats=("WEBP",)) as image:
                ImageOps.exif_transpose(image).save(target, "PNG")
        else:
            for piece in zip_members.unpacked(file, member):
                target.write(piece)
