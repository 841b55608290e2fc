"""Inspect a ZIP: its pairs, its captions, and what stops a training. Pure: a path in, a verdict out.

The structure comes first (`zip_members`): nothing is unpacked until it is sound. Then each member is read
once, in chunks: `layouts` finds the pairs, `images` reads the pictures, `findings` words what is wrong.
The portal calls sandbox.py, which runs this inside limits.
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
from finetune_portal.datasets.checker.images import ImageInfo, UnusableImageError
from finetune_portal.datasets.checker.messages import ZipRejectedError
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
    """Member names of the input image (`start`) and the target image (`end`), and the caption."""

    index: str
    start: str
    end: str
    caption: str
    start_size: tuple[int, int]
    end_size: tuple[int, int]


@dataclass
class Verdict:
    """`problems` stop a training, `warnings` do not; both are sentences for people.

    `repairs` are what `repair` can do about them, each with a `code` and a `sentence`.
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
    """What was read: the arrangement of the pairs, captions and images by member name, the findings."""

    arrangement: layouts.Arrangement
    captions: dict[str, str] = field(default_factory=dict)
    images: dict[str, ImageInfo] = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)

    def caption(self, pair: layouts.Pair) -> str:
        return self.captions.get(pair.caption_file.name, "") if pair.caption_file else pair.caption


def inspect_zip(path: Path) -> Verdict:
    """Inspect the ZIP at `path`. Never raises for a bad file: the verdict says what is wrong."""
    size = path.stat().st_size
    if size == 0:
        return rejected("The file is empty. Choose the ZIP again.")
    with path.open("rb") as file:
        return _inspect_file(file, size, lambda label: True)


def inspect_remote(file: BinaryIO) -> Verdict:
    """Inspect a file that is slow to read by its directory and captions; no image is opened."""
    return _inspect_file(file, file.seek(0, 2), layouts.is_text)


def rejected(sentence: str, size: int = 0) -> Verdict:
    """The verdict on a file that could not be inspected."""
    facts = {"files": 0, "pairs": 0, "captions": 0, "bytes": size, "unpacked": 0}
    return Verdict(problems=[sentence], facts=facts)


def _inspect_file(file: BinaryIO, size: int, needed: Callable[[str], bool]) -> Verdict:
    try:
        members = zip_members.read_members(file, needed)
        content = read(file, members)
    except ZipRejectedError as exc:
        return rejected(str(exc), size)
    if size > LARGE:
        content.findings.add("large", "", detail=f"{size / 1_000_000:,.0f}")
    verdict = evaluate(content)
    unpacked = sum(member.size for member in members)
    verdict.facts |= {"files": len(members), "bytes": size, "unpacked": unpacked}
    return verdict


def read(file: BinaryIO, members: list[Member]) -> Content:
    """Read every located member once. Raises ZipRejectedError if the ZIP itself is damaged."""
    junk = {member.name: part for member in members if (part := layouts.junk_part(member.label))}
    files = [member for member in members if member.name not in junk]
    content = Content(layouts.arrange(files, lambda member: _text(file, member)))
    findings = content.findings
    findings.add("junk", *dict.fromkeys(junk.values()))
    if not files:
        findings.add("empty", "")
    elif not any(map(layouts.is_image, files)):
        findings.add("no pictures", "")
    pairs = content.arrangement.pairs
    halves = {half.name for pair in pairs for half in (pair.start, pair.end)}
    texts = {pair.caption_file.name for pair in pairs if pair.caption_file}
    deadline = monotonic() + DECODE_SECONDS
    with warnings.catch_warnings(action="ignore"):  # Pillow's; the findings say what matters
        for member in members:
            if member.start < 0:
                content.images[member.name] = images.NOT_READ
            elif member.name in halves:
                _read_image(file, member, content, decode=monotonic() < deadline)
            elif member.name in texts:
                content.captions[member.name] = _caption(file, member, findings)
            else:
                _check_unused(file, member, findings)
    return content


def _text(file: BinaryIO, member: Member) -> str:
    if member.size > MAX_METADATA:
        return ""
    return b"".join(zip_members.unpack(file, member)).decode("utf-8-sig", "replace")


def _check_unused(file: BinaryIO, member: Member, findings: Findings) -> None:
    """Verify a member that is not used, and report it if it is an archive."""
    head = b""
    for chunk in zip_members.unpack(file, member):
        head = head or chunk[: file_types.HEAD_BYTES]
    if archive_type := file_types.archive_type(head):
        findings.add("archive", member.label, detail=archive_type)


def read_member(file: BinaryIO, member: Member) -> io.BytesIO:
    """The bytes of one member in memory."""
    data = io.BytesIO()
    for chunk in zip_members.unpack(file, member):
        data.write(chunk)
    data.seek(0)
    return data


def _read_image(file: BinaryIO, member: Member, content: Content, *, decode: bool) -> None:
    findings = content.findings
    if member.size > images.MAX_BYTES:
        _check_unused(file, member, findings)
        return findings.add("bytes", member.label)
    data = read_member(file, member)
    actual_type = file_types.file_type(data.read(file_types.HEAD_BYTES))
    data.seek(0)
    if actual_type not in ("a JPEG picture", "a PNG picture", "a WebP picture"):
        return findings.add("other type", member.label, detail=actual_type or "no picture")
    try:
        info = images.inspect_image(data, decode=decode)
    except UnusableImageError as exc:
        return findings.add(str(exc), member.label)
    content.images[member.name] = info
    for note in info.notes:
        findings.add(note, member.label)
    if info.format == "WEBP":
        findings.add("webp", member.label)
    elif member.suffix.lower() not in images.SUFFIXES[info.format]:
        findings.add("name", member.label, detail=actual_type)
    return None


def _caption(file: BinaryIO, member: Member, findings: Findings) -> str:
    chunks = zip_members.unpack(file, member)
    if member.size > MAX_CAPTION:
        _check_unused(file, member, findings)
        findings.add("long file", member.label)
        return ""
    raw = b"".join(chunks)
    if raw.startswith(BYTE_ORDER_MARK):
        findings.add("byte order mark", member.label)
    if raw.startswith(UTF16_MARKS):
        findings.add("utf-16", member.label)
    try:
        text = raw.decode("utf-16" if raw.startswith(UTF16_MARKS) else "utf-8-sig").strip()
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        findings.add("not text", member.label)
        return ""
    if not text:
        findings.add("empty caption", member.label)
    if len(text) > LONG_CAPTION:
        findings.add("long caption", member.label)
    return text


def evaluate(content: Content) -> Verdict:
    """The verdict on what was read. Adds to the findings of `content`."""
    findings = content.findings
    pairs = list(_pairs(content))
    captions = sum(1 for pair in pairs if pair.caption)
    facts = {"pairs": len(pairs), "captions": captions}
    _evaluate_layout(content.arrangement, findings)
    _evaluate_pairs(pairs, content)
    return Verdict(
        problems=findings.sentences("problem"),
        warnings=findings.sentences("warning"),
        pairs=pairs if sum(len(pair.caption) for pair in pairs) <= MAX_CAPTIONS else [],
        facts=facts,
        layout=content.arrangement.layout,
        repairs=findings.repairs(),
    )


def _pairs(content: Content) -> Iterator[Pair]:
    """The pairs of which both images could be read."""
    images_read = content.images
    for pair in content.arrangement.pairs:
        start, end = pair.start.name, pair.end.name
        if start in images_read and end in images_read:
            sizes = (images_read[start].size, images_read[end].size)
            yield Pair(pair.index, start, end, content.caption(pair), *sizes)


def _evaluate_layout(arrangement: layouts.Arrangement, findings: Findings) -> None:
    findings.add("missing start", *arrangement.missing_start)
    findings.add("missing end", *arrangement.missing_end)
    findings.add("duplicate", *arrangement.duplicates)
    findings.add("caption name", *arrangement.misnamed_captions)
    findings.add("unused captions", *arrangement.unused_captions)
    if arrangement.layout in ("folder", "folders"):
        findings.add("folder", *arrangement.folders)
    elif arrangement.layout == "metadata":
        findings.add("metadata", "metadata.jsonl")
    elif arrangement.layout == "two folders":
        findings.add("two folders" if arrangement.pairs else "unclear folders", *arrangement.folders)
    if arrangement.pairs or arrangement.missing_start or arrangement.missing_end:
        findings.add("unpaired", *arrangement.unpaired)
    elif arrangement.layout == "unknown" and arrangement.unpaired:
        findings.add("no pairs", "")


def _evaluate_pairs(pairs: list[Pair], content: Content) -> None:
    findings, arranged = content.findings, content.arrangement.pairs
    identical = [p.index for p in arranged if (p.start.crc, p.start.size) == (p.end.crc, p.end.size)]
    findings.add("same", *identical)
    findings.add("shapes", *(pair.index for pair in pairs if _differ(pair.start_size, pair.end_size)))
    without = [pair.index for pair in arranged if not (pair.caption_file or pair.caption)]
    if arranged and len(without) == len(arranged):
        findings.add("no captions", "")
    elif without:
        findings.add("some captions", *without)
    if sum(len(pair.caption) for pair in pairs) > MAX_CAPTIONS:
        findings.add("much text", "")
    if 0 < len(arranged) < FEW_PAIRS:
        findings.add("few", "", detail="1 pair" if len(arranged) == 1 else f"{len(arranged)} pairs")


def _differ(one: tuple[int, int], other: tuple[int, int]) -> bool:
    if (0, 0) in (one, other):
        return False
    aspect, another = one[0] / one[1], other[0] / other[1]
    return abs(aspect - another) > ASPECT_TOLERANCE * max(aspect, another)
