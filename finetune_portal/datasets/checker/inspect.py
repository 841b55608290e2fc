"""What is in a ZIP: pairs, captions, and what stands in the way of training. Pure: a path in, a verdict out.

First the structure, and nothing is unpacked until that is sound (`zip_members`); then every member
once, in pieces; pictures are opened (`pictures`), pairs found (`layouts`), findings told (`findings`).
The portal calls sandbox.py, which runs this behind limits.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO

from finetune_portal.datasets.checker import file_types, images, layouts, zip_members
from finetune_portal.datasets.checker.findings import Findings
from finetune_portal.datasets.checker.images import Picture, Unusable
from finetune_portal.datasets.checker.messages import Refused
from finetune_portal.datasets.checker.zip_members import Member

MAX_CAPTION = 64 * 1024
MAX_CAPTIONS = 4_000_000
MAX_METADATA = 4 * 1024**2
LONG_CAPTION = 2_000
LARGE = 100_000_000
FEW_PAIRS = 5
ASPECT_TOLERANCE = 0.01
DECODE_SECONDS = 20.0
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True)
class Pair:
    """Member names of the control image (`start`) and the target image (`end`), and the caption."""

    index: str
    start: str
    end: str
    caption: str
    start_size: tuple[int, int]
    end_size: tuple[int, int]


@dataclass
class Verdict:
    """`problems` stop a training, `warnings` do not. Both are sentences for people.

    `repairs` are what `repair` can do about them: each has a `code` and a `sentence`.
    """

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    facts: dict[str, int] = field(default_factory=dict)
    layout: str = "unknown"
    repairs: list[dict[str, str]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        pairs = [
            {**vars(pair), "start_size": list(pair.start_size), "end_size": list(pair.end_size)}
            for pair in self.pairs
        ]
        return {**vars(self), "pairs": pairs}


@dataclass
class Content:
    """What was read: the pairs as found, the pictures by member name, the findings."""

    arrangement: layouts.Arrangement
    captions: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, Picture] = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)

    def caption(self, pair: layouts.Pair) -> str:
        return self.captions.get(pair.caption_file.name, "") if pair.caption_file else pair.caption


def inspect(path: Path) -> Verdict:
    """Read the ZIP at `path`. Never raises for a bad file: the verdict says what is wrong."""
    size = path.stat().st_size
    if size == 0:
        return refused("The file is empty. Choose the ZIP again.")
    with path.open("rb") as file:
        return _weighed(file, size, lambda label: True)


def survey(file: BinaryIO) -> Verdict:
    """What the directory and the captions tell of a file that is far away; no picture is opened."""
    return _weighed(file, file.seek(0, 2), layouts.is_text)


def refused(sentence: str, size: int = 0) -> Verdict:
    """The verdict on a file that was not, or could not be, looked into."""
    facts = {"files": 0, "pairs": 0, "captions": 0, "bytes": size, "unpacked": 0}
    return Verdict(problems=[sentence], facts=facts)


def _weighed(file: BinaryIO, size: int, needed: Callable[[str], bool]) -> Verdict:
    try:
        members = zip_members.members(file, needed)
        content = read(file, members)
    except Refused as refusal:
        return refused(str(refusal), size)
    if size > LARGE:
        content.findings.add("large", "", detail=f"{size / 1_000_000:,.0f}")
    verdict = judge(content)
    unpacked = sum(member.size for member in members)
    verdict.facts |= {"files": len(members), "bytes": size, "unpacked": unpacked}
    return verdict


def read(file: BinaryIO, members: list[Member]) -> Content:
    """Read every located member once; raises Refused where the ZIP itself is damaged."""
    dirt = {member.name: part for member in members if (part := layouts.dirt(member.label))}
    files = [member for member in members if member.name not in dirt]
    content = Content(layouts.arrange(files, lambda member: _text(file, member)))
    found = content.findings
    found.add("dirt", *dict.fromkeys(dirt.values()))
    if not files:
        found.add("empty", "")
    elif not any(map(layouts.is_picture, files)):
        found.add("no pictures", "")
    pairs = content.arrangement.pairs
    halves = {half.name for pair in pairs for half in (pair.start, pair.end)}
    texts = {pair.caption_file.name for pair in pairs if pair.caption_file}
    until = monotonic() + DECODE_SECONDS
    with warnings.catch_warnings(action="ignore"):  # Pillow's; what counts is found
        for member in members:
            if member.start < 0:
                content.pictures[member.name] = images.UNSEEN
            elif member.name in halves:
                _look_at(file, member, content, decode=monotonic() < until)
            elif member.name in texts:
                content.captions[member.name] = _caption(file, member, found)
            else:
                _pass_over(file, member, found)
    return content


def _text(file: BinaryIO, member: Member) -> str:
    if member.size > MAX_METADATA:
        return ""
    return b"".join(zip_members.unpacked(file, member)).decode("utf-8-sig", "replace")


def _pass_over(file: BinaryIO, member: Member, found: Findings) -> None:
    head = b""
    for piece in zip_members.unpacked(file, member):
        head = head or piece[: file_types.HEAD]
    if kind := file_types.archive_kind(head):
        found.add("archive", member.label, detail=kind)


def held(file: BinaryIO, member: Member) -> io.BytesIO:
    """The bytes of one member in memory."""
    data = io.BytesIO()
    for piece in zip_members.unpacked(file, member):
        data.write(piece)
    data.seek(0)
    return data


def _look_at(file: BinaryIO, member: Member, content: Content, *, decode: bool) -> None:
    found = content.findings
    if member.size > images.MAX_BYTES:
        _pass_over(file, member, found)
        return found.add("bytes", member.label)
    data = held(file, member)
    really = file_types.kind(data.read(file_types.HEAD))
    data.seek(0)
    if really not in ("a JPEG picture", "a PNG picture", "a WebP picture"):
        return found.add("other type", member.label, detail=really or "no picture")
    try:
        picture = images.look(data, decode=decode)
    except Unusable as exc:
        return found.add(str(exc), member.label)
    content.pictures[member.name] = picture
    for note in picture.notes:
        found.add(note, member.label)
    if picture.kind == "WEBP":
        found.add("webp", member.label)
    elif member.suffix.lower() not in images.SUFFIXES[picture.kind]:
        found.add("name", member.label, detail=really)
    return None


def _caption(file: BinaryIO, member: Member, found: Findings) -> str:
    pieces = zip_members.unpacked(file, member)
    if member.size > MAX_CAPTION:
        _pass_over(file, member, found)
        found.add("long file", member.label)
        return ""
    raw = b"".join(pieces)
    if raw.startswith(BYTE_ORDER_MARK):
        found.add("byte order mark", member.label)
    if raw.startswith(UTF16_MARKS):
        found.add("utf-16", member.label)
    try:
        text = raw.decode("utf-16" if raw.startswith(UTF16_MARKS) else "utf-8-sig").strip()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        found.add("not text", member.label)
        return ""
    if not text:
        found.add("empty caption", member.label)
    if len(text) > LONG_CAPTION:
        found.add("long caption", member.label)
    return text


def judge(content: Content) -> Verdict:
    """Weigh what was read; adds to its findings."""
    found = content.findings
    pairs = list(_pairs(content))
    captions = sum(1 for pair in pairs if pair.caption)
    facts = {"pairs": len(pairs), "captions": captions}
    _judge_layout(content.arrangement, found)
    _judge_pairs(pairs, content)
    return Verdict(
        problems=found.sentences("problem"),
        warnings=found.sentences("warning"),
        pairs=pairs if sum(len(pair.caption) for pair in pairs) <= MAX_CAPTIONS else [],
        facts=facts,
        layout=content.arrangement.layout,
        repairs=found.repairs(),
    )


def _pairs(content: Content) -> Iterator[Pair]:
    """The pairs whose two pictures could be read."""
    known = content.pictures
    for pair in content.arrangement.pairs:
        if pair.start.name in known and pair.end.name in known:
            start, end = known[pair.start.name].size, known[pair.end.name].size
            yield Pair(pair.index, pair.start.name, pair.end.name, content.caption(pair), start, end)


def _judge_layout(arrangement: layouts.Arrangement, found: Findings) -> None:
    found.add("lacks start", *arrangement.lack_start)
    found.add("lacks end", *arrangement.lack_end)
    found.add("double", *arrangement.doubles)
    found.add("caption name", *arrangement.misnamed_captions)
    found.add("spare captions", *arrangement.spare_captions)
    if arrangement.layout in ("folder", "folders"):
        found.add("folder", *arrangement.folders)
    elif arrangement.layout == "metadata":
        found.add("metadata", "metadata.jsonl")
    elif arrangement.layout == "two folders":
        found.add("two folders" if arrangement.pairs else "no sides", *arrangement.folders)
    if arrangement.pairs or arrangement.lack_start or arrangement.lack_end:
        found.add("strangers", *arrangement.strangers)
    elif arrangement.layout == "unknown" and arrangement.strangers:
        found.add("no pairs", "")


def _judge_pairs(pairs: list[Pair], content: Content) -> None:
    found, arranged = content.findings, content.arrangement.pairs
    twins = [p.index for p in arranged if (p.start.crc, p.start.size) == (p.end.crc, p.end.size)]
    found.add("same", *twins)
    found.add("shapes", *(pair.index for pair in pairs if _differ(pair.start_size, pair.end_size)))
    without = [pair.index for pair in arranged if not (pair.caption_file or pair.caption)]
    if arranged and len(without) == len(arranged):
        found.add("no captions", "")
    elif without:
        found.add("some captions", *without)
    if sum(len(pair.caption) for pair in pairs) > MAX_CAPTIONS:
        found.add("much text", "")
    if 0 < len(arranged) < FEW_PAIRS:
        found.add("few", "", detail="1 pair" if len(arranged) == 1 else f"{len(arranged)} pairs")


def _differ(one: tuple[int, int], other: tuple[int, int]) -> bool:
    if (0, 0) in (one, other):
        return False
    aspect, another = one[0] / one[1], other[0] / other[1]
    return abs(aspect - another) > ASPECT_TOLERANCE * max(aspect, another)
