"""What is in a ZIP: pairs, captions, and what stands in the way of training. Pure: a path in, a verdict out.

The layout is the vendor's (segmind-facts, section 1.1): `01_start.jpg`, `01_end.jpg`, `01.txt`.
"""

from __future__ import annotations

import re
import struct
import zipfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

IMAGE = re.compile(r"^(?P<index>.+)_(?P<half>start|end)\.(?:jpe?g|png)$", re.IGNORECASE)
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png"}
MAGIC = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG"}
MAX_ENTRIES = 20_000
MAX_UNPACKED = 20_000_000_000
MAX_RATIO = 100
MAX_CAPTION = 64 * 1024
FEW_PAIRS = 5


@dataclass(frozen=True)
class Pair:
    """Member names of the control image (`start`) and the target image (`end`), and the caption."""

    index: str
    start: str
    end: str
    caption: str


@dataclass
class Verdict:
    """`problems` stop a training, `warnings` do not. Both are sentences for people."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "problems": self.problems,
            "warnings": self.warnings,
            "pairs": [vars(pair) for pair in self.pairs],
        }


def inspect(path: Path) -> Verdict:
    """Read the ZIP at `path`. Never raises for a bad file: the verdict says what is wrong."""
    verdict = Verdict()
    if path.stat().st_size == 0:
        verdict.problems.append("The file is empty. Choose the ZIP again.")
        return verdict
    try:
        with zipfile.ZipFile(path) as archive:
            _inspect(archive, verdict)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, struct.error):
        verdict.problems.append(
            "This is not a readable ZIP file. Pack the pictures into a .zip and drop it again."
        )
    except (OSError, EOFError, ValueError, RuntimeError, zipfile.zlib.error):  # type: ignore[attr-defined]
        verdict.problems.append("The ZIP is damaged. Pack the pictures again and drop the new file.")
    return verdict


def _inspect(archive: zipfile.ZipFile, verdict: Verdict) -> None:
    members = [info for info in archive.infolist() if not info.is_dir() and not _is_dirt(info.filename)]
    if danger := _danger(members):
        verdict.problems.append(danger)
        return
    images = [info for info in members if PurePosixPath(info.filename).suffix.lower() in IMAGE_SUFFIXES]
    if not members:
        verdict.problems.append("The ZIP is empty. Put the pairs into it and drop it again.")
    elif not images:
        verdict.problems.append(
            "There are no pictures in the ZIP. It needs pairs such as 01_start.png and 01_end.png."
        )
    else:
        _pair_up(archive, members, images, verdict)


def _is_dirt(name: str) -> bool:
    """What zippers leave behind: __MACOSX, .DS_Store, Thumbs.db."""
    parts = PurePosixPath(name).parts
    return (
        "__MACOSX" in parts
        or parts[-1:] == ("Thumbs.db",)
        or any(p.startswith(".") and p != ".." for p in parts)
    )


def _danger(members: list[zipfile.ZipInfo]) -> str:
    if len(members) > MAX_ENTRIES:
        return f"The ZIP holds {len(members):,} files; {MAX_ENTRIES:,} is the limit."
    if sum(info.file_size for info in members) > MAX_UNPACKED:
        return "The ZIP unpacks to more than 20 GB, which is the limit."
    for info in members:
        parts = PurePosixPath(info.filename.replace("\\", "/")).parts
        if info.filename.startswith("/") or ".." in parts:
            return f"“{info.filename}” points outside the ZIP. Pack the folder again."
        if info.flag_bits & 1:
            return "The ZIP has a password. Pack it again without one."
        if info.file_size > 1_000_000 and info.file_size > MAX_RATIO * max(1, info.compress_size):
            return f"“{info.filename}” unpacks to over {MAX_RATIO} times its size, as a trap would."
    return ""


def _pair_up(
    archive: zipfile.ZipFile,
    members: list[zipfile.ZipInfo],
    images: list[zipfile.ZipInfo],
    verdict: Verdict,
) -> None:
    halves, strangers = _halves(images)
    captions = {info.filename: info for info in members if info.filename.lower().endswith(".txt")}
    for stem in sorted(halves, key=_natural):
        start, end = halves[stem].get("start", ""), halves[stem].get("end", "")
        index = PurePosixPath(stem).name
        if not start or not end:
            half = "_end" if start else "_start"
            verdict.problems.append(f"“{index}” has no {half} picture. Each pair needs both halves.")
            continue
        for name in (start, end):
            _look_at(archive, name, verdict)
        caption = _caption(archive, captions.get(f"{stem}.txt"), verdict)
        verdict.pairs.append(Pair(index, start, end, caption))
    if not halves:
        verdict.problems.append(
            "No picture is named as a pair. Name them 01_start.png (before) and 01_end.png (after)."
        )
    elif strangers:
        verdict.warnings.append(f"{_some(strangers)} will be ignored: not named _start or _end.")
    if 0 < len(verdict.pairs) < FEW_PAIRS:
        verdict.warnings.append(
            f"Only {len(verdict.pairs)} pairs. The vendor's own examples have {FEW_PAIRS} or more."
        )


def _halves(images: list[zipfile.ZipInfo]) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Picture names by stem and half, and the names that fit no half."""
    halves: dict[str, dict[str, str]] = defaultdict(dict)
    strangers = []
    for info in images:
        name = PurePosixPath(info.filename)
        if match := IMAGE.match(name.name):
            halves[str(name.parent / match["index"])][match["half"].lower()] = info.filename
        else:
            strangers.append(name.name)
    return halves, strangers


def _look_at(archive: zipfile.ZipFile, name: str, verdict: Verdict) -> None:
    with archive.open(name) as file:
        head = file.read(16)
    if not any(head.startswith(magic) for magic in MAGIC):
        really = "WebP" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else "not a JPEG or PNG"
        verdict.warnings.append(f"“{name}” is really {really}. Training may refuse it.")


def _caption(archive: zipfile.ZipFile, info: zipfile.ZipInfo | None, verdict: Verdict) -> str:
    if info is None:
        return ""
    if info.file_size > MAX_CAPTION:
        verdict.warnings.append(f"“{info.filename}” is too long for a caption and will be ignored.")
        return ""
    file: IO[bytes]
    with archive.open(info) as file:
        raw = file.read(MAX_CAPTION)
    try:
        return raw.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        verdict.warnings.append(f"“{info.filename}” is not UTF-8 text and will be ignored.")
        return ""


def _natural(text: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", text)]


def _some(names: list[str]) -> str:
    shown = ", ".join(f"“{name}”" for name in names[:3])
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
