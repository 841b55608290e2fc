"""Inspect a ZIP: its pairs, its captions, and what stops a training. Pure: a path in, a verdict out.

The structure comes first (`zip_members`): nothing is unpacked until it is sound. Then `layouts` finds the
pairs, `reading` looks at each member once and to its end, and `evaluate` words what is wrong. A large ZIP is
looked at in slices: what was seen so far goes out and comes back as JSON.
The portal calls sandbox.py, which runs this inside limits.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO, NamedTuple

from finetune_portal.datasets.checker import accepted, captions, evaluate, layouts, reading, zip_members
from finetune_portal.datasets.checker.evaluate import Content
from finetune_portal.datasets.checker.messages import ZipRejectedError
from finetune_portal.datasets.checker.reading import Look, Role
from finetune_portal.datasets.checker.verdict import Verdict, rejected
from finetune_portal.datasets.checker.zip_members import Member

LARGE = 100_000_000
MAX_TEXT_BYTES = 16_000_000  # of all captions; a verdict has 4 MB of text at most
Seen = dict[str, list[Any]]


class Slice(NamedTuple):
    """The verdict if all is looked at, else None and what was seen so far: `done` of `total` members."""

    verdict: Verdict | None
    seen: Seen
    done: int
    total: int


def inspect_zip(path: Path) -> Verdict:
    """Inspect the whole ZIP at `path`. Never raises for a bad file: the verdict says what is wrong."""
    verdict = inspect_slice(path, {}, float("inf")).verdict
    return verdict or rejected("")


def inspect_slice(path: Path, seen: Seen, seconds: float) -> Slice:
    """Look at members that are not in `seen`, for about so many seconds but at least at one."""
    size = path.stat().st_size
    if size == 0:
        return Slice(rejected("The file is empty. Choose the ZIP again."), {}, 0, 0)
    with path.open("rb") as file:
        return _inspect_file(file, size, seen, seconds)


def _inspect_file(file: BinaryIO, size: int, seen: Seen, seconds: float) -> Slice:
    try:
        members = zip_members.read_members(file)
        content = arrange(file, members)
        content.looks = {name: Look.from_json(look) for name, look in seen.items()}
        if not look_on(file, members, content, seconds):
            looks = {name: look.as_json() for name, look in content.looks.items()}
            return Slice(None, looks, len(looks), len(members))
    except ZipRejectedError as exc:
        return Slice(rejected(str(exc), size), {}, 0, 0)
    if size > LARGE:
        content.findings.add("large", "", detail=f"{size / 1_000_000:,.0f}")
    verdict = evaluate.evaluate(content)
    unpacked = sum(member.size for member in members)
    verdict.facts |= {"files": len(members), "bytes": size, "unpacked": unpacked}
    return Slice(verdict, {}, len(members), len(members))


def arrange(file: BinaryIO, members: list[Member]) -> Content:
    """The pairs among the members, before any image is opened."""
    junk = {member.name: part for member in members if (part := layouts.junk_part(member.label))}
    files = [member for member in members if member.name not in junk]
    content = Content(layouts.arrange(files, lambda member: _table_text(file, member)))
    content.labels = {member.name: member.label for member in members}
    content.old_names = [member.raw for member in members if member.page]
    content.findings.add("junk", *dict.fromkeys(junk.values()))
    if not files:
        content.findings.add("empty", "")
    elif not any(map(layouts.is_image, files)):
        content.findings.add("no pictures", "")
    return content


def look_on(file: BinaryIO, members: list[Member], content: Content, seconds: float = float("inf")) -> bool:
    """Look at the members that nobody looked at. Whether all are done; False when the time is up.

    Raises ZipRejectedError if the ZIP itself is damaged.
    """
    pairs = content.arrangement.pairs
    images = {image.name for pair in pairs for image in pair.images}
    texts = {pair.caption_file.name for pair in pairs if pair.caption_file}
    deadline = monotonic() + seconds
    had = len(content.looks)
    text_bytes = sum(len(look.raw or b"") for look in content.looks.values())
    with warnings.catch_warnings(action="ignore"):  # Pillow's; the findings say what matters
        for member in members:
            if _is_seen(content.looks.get(member.name), is_image=member.name in images):
                continue
            if len(content.looks) > had and monotonic() > deadline:
                return False
            role: Role = "image" if member.name in images else "caption" if member.name in texts else "other"
            if role == "caption" and text_bytes > MAX_TEXT_BYTES:
                role = "other"
                content.findings.add("much text", "")
            look = reading.look_at(file, member, role)
            text_bytes += len(look.raw or b"")
            content.looks[member.name] = look
    return True


def _is_seen(look: Look | None, *, is_image: bool) -> bool:
    """Whether nothing is left to look at. An earlier release verified further inputs, and decoded none."""
    return look is not None and (not is_image or bool(look.image or look.findings))


def _table_text(file: BinaryIO, member: Member) -> str:
    if member.size > accepted.MAX_TABLE:
        return ""
    return captions.table_text(b"".join(zip_members.unpack(file, member)))
