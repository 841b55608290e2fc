"""Write a repaired copy of a ZIP: flat, with true suffixes, captions in plain UTF-8."""

from __future__ import annotations

import unicodedata
import zipfile
from pathlib import Path
from typing import BinaryIO

from PIL import Image, ImageOps

from finetune_portal.datasets.checker import inspect, zip_members
from finetune_portal.datasets.checker.images import ImageInfo
from finetune_portal.datasets.checker.layouts import Arrangement
from finetune_portal.datasets.checker.messages import ZipRejectedError
from finetune_portal.datasets.checker.zip_members import Member

SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".png"}


def repair(source: Path, target: Path, captions: dict[str, str]) -> None:
    """Write the repaired pairs of `source` to `target`. Raises ZipRejectedError for what cannot be repaired.

    `captions` replaces captions by the index of their pair; an empty text removes the caption.
    """
    try:
        with source.open("rb") as file, zipfile.ZipFile(target, "w") as archive:
            _write(file, archive, captions)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _write(file: BinaryIO, archive: zipfile.ZipFile, captions: dict[str, str]) -> None:
    content = inspect.read(file, zip_members.read_members(file))
    inspect.evaluate(content)
    if problems := content.findings.unrepairable():
        raise ZipRejectedError(problems[0])
    pairs = content.arrangement.pairs
    for pair, name in zip(pairs, _pair_names(content.arrangement), strict=True):
        for half, member in (("start", pair.start), ("end", pair.end)):
            _add_image(archive, f"{name}_{half}", file, member, content.images[member.name])
        text = captions.get(pair.index, content.caption(pair)).strip().lstrip("\ufeff")
        if text:
            archive.writestr(zipfile.ZipInfo(f"{name}.txt"), text.encode("utf-8", "replace"))


def _pair_names(arrangement: Arrangement) -> list[str]:
    """The pairs' own names if those stay distinct, else 01, 02, and so on."""
    names = [pair.index for pair in arrangement.pairs]
    distinct = {unicodedata.normalize("NFC", name).casefold().rstrip(". ") for name in names}
    has_names = arrangement.layout in ("flat", "folder", "folders")
    if has_names and len(distinct) == len(names) and not any("/" in name for name in names):
        return names
    width = max(2, len(str(len(names))))
    return [f"{number:0{width}}" for number in range(1, len(names) + 1)]


def _add_image(archive: zipfile.ZipFile, name: str, file: BinaryIO, member: Member, info: ImageInfo) -> None:
    entry = zipfile.ZipInfo(name + SUFFIXES[info.format])
    entry.file_size = member.size
    with archive.open(entry, "w") as target:
        if info.format == "WEBP":
            with Image.open(inspect.read_member(file, member), formats=("WEBP",)) as image:
                ImageOps.exif_transpose(image).save(target, "PNG")
        else:
            for chunk in zip_members.unpack(file, member):
                target.write(chunk)
