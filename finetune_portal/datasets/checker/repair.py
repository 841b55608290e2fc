"""Write a repaired copy of a ZIP: flat, with true suffixes, plain pixels, captions in plain UTF-8."""

from __future__ import annotations

import unicodedata
import zipfile
from pathlib import Path
from typing import BinaryIO

from finetune_portal.datasets.checker import evaluate, inspect, pixels, reading, texts, zip_members
from finetune_portal.datasets.checker.evaluate import Content
from finetune_portal.datasets.checker.images import ImageInfo
from finetune_portal.datasets.checker.layouts import Arrangement
from finetune_portal.datasets.checker.messages import ZipRejectedError
from finetune_portal.datasets.checker.zip_members import Member
from finetune_portal.storage.room import Room, new_content

KEPT = {"JPEG": ".jpg", "PNG": ".png"}
CHANGES_PIXELS = {"animated", "cmyk", "16 bit", "transparent", "rotated"}


def repair(
    source: Path,
    target: Path,
    captions: dict[str, str],
    *,
    is_swapped: bool = False,
    words: dict[str, str] | None = None,
    code_page: str = "",
    caption_page: str = "",
    room: Room | None = None,
) -> None:
    """Write the repaired pairs of `source` to `target`. Raises ZipRejectedError where a problem remains.

    The room of `source` is taken first. Raises DiskFullError.

    `captions` replaces captions by the index of their pair; an empty text removes the caption. `is_swapped`
    exchanges the halves. `words` are put in place of placeholders in captions, by the placeholder. Names that
    need a code page are read in `code_page`, captions in `caption_page`, or in those that are guessed.
    """
    try:
        announced = source.stat().st_size
        with (
            source.open("rb") as file,
            new_content(target, room, announced) as made,
            zipfile.ZipFile(made, "w") as archive,
        ):
            members = zip_members.read_members(file, code_page)
            content = inspect.arrange(file, members)
            content.caption_page = caption_page
            inspect.look_on(file, members, content)
            _write(file, archive, content, captions, is_swapped=is_swapped, words=words or {})
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _write(
    file: BinaryIO,
    archive: zipfile.ZipFile,
    content: Content,
    captions: dict[str, str],
    *,
    is_swapped: bool,
    words: dict[str, str],
) -> None:
    evaluate.evaluate(content)
    if problems := content.findings.unrepairable():
        raise ZipRejectedError(problems[0])
    pairs = content.arrangement.pairs
    for pair, name in zip(pairs, _pair_names(content.arrangement), strict=True):
        halves = (pair.end, pair.start) if is_swapped else (pair.start, pair.end)
        places = ("start", "end", *(f"start{number}" for number in range(2, 2 + len(pair.further))))
        for place, member in zip(places, (*halves, *pair.further), strict=True):
            if (info := content.image(member.name)) is None:
                raise ZipRejectedError(f"The picture “{member.label}” cannot be read.")
            _add_image(archive, f"{name}_{place}", file, member, info)
        text = captions.get(pair.index, content.caption(pair)).strip().lstrip("\ufeff")
        text = texts.with_words(text, words)
        if text:
            archive.writestr(zipfile.ZipInfo(f"{name}.txt"), text.encode("utf-8", "replace"))


def _pair_names(arrangement: Arrangement) -> list[str]:
    """The pairs' own names if those stay distinct, else 01, 02, and so on."""
    names = [pair.index for pair in arrangement.pairs]
    distinct = {unicodedata.normalize("NFC", name).casefold().rstrip(". ") for name in names}
    if len(distinct) == len(names) and not any("/" in name for name in names):
        return names
    width = max(2, len(str(len(names))))
    return [f"{number:0{width}}" for number in range(1, len(names) + 1)]


def _add_image(archive: zipfile.ZipFile, name: str, file: BinaryIO, member: Member, info: ImageInfo) -> None:
    is_kept = info.format in KEPT and not info.profile and not CHANGES_PIXELS.intersection(info.notes)
    entry = zipfile.ZipInfo(name + (KEPT[info.format] if is_kept else ".png"))
    entry.file_size = member.size if is_kept else 4 * info.size[0] * info.size[1]
    with archive.open(entry, "w") as target:
        if is_kept:
            for chunk in zip_members.unpack(file, member):
                target.write(chunk)
        else:
            with pixels.open_picture(reading.read_member(file, member)) as image:
                pixels.plain(image).save(target, "PNG")
