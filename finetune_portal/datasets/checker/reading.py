"""Look at one member of a ZIP: decode an image to its end, read a caption, verify anything else."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Literal

from finetune_portal.datasets.checker import accepted, file_types, images, zip_members
from finetune_portal.datasets.checker.images import ImageInfo, UnusableImageError
from finetune_portal.datasets.checker.zip_members import Member

Role = Literal["image", "caption", "other"]


@dataclass
class Look:
    """What one member is. `raw` are the bytes of a caption; findings are pairs of a type and a detail."""

    image: ImageInfo | None = None
    raw: bytes | None = None
    findings: list[tuple[str, str]] = field(default_factory=list)

    def as_json(self) -> list[Any]:
        return [self.image, None if self.raw is None else self.raw.decode("latin-1"), self.findings]

    @classmethod
    def from_json(cls, data: list[Any]) -> Look:
        image, raw, findings = data
        info = ImageInfo(image[0], (image[1][0], image[1][1]), *image[2:]) if image else None
        return cls(
            info, None if raw is None else raw.encode("latin-1"), [(key, text) for key, text in findings]
        )


def look_at(file: BinaryIO, member: Member, role: Role) -> Look:
    """Read a located member once, wholly. Raises ZipRejectedError if the ZIP itself is damaged."""
    if role == "image":
        return _look_at_image(file, member)
    if role == "caption" and member.size <= accepted.MAX_CAPTION:
        return Look(raw=b"".join(zip_members.unpack(file, member)))
    look = _verify(file, member)
    if role == "caption":
        look.findings.append(("long file", ""))
    return look


def read_member(file: BinaryIO, member: Member) -> io.BytesIO:
    """The bytes of one member in memory."""
    data = io.BytesIO()
    for chunk in zip_members.unpack(file, member):
        data.write(chunk)
    data.seek(0)
    return data


def _verify(file: BinaryIO, member: Member) -> Look:
    """Verify a member that is not used; report it if it is an archive."""
    head = b""
    for chunk in zip_members.unpack(file, member):
        head = head or chunk[: file_types.HEAD_BYTES]
    archive = file_types.archive_type(head)
    return Look(findings=[("archive", archive)] if archive else [])


def _look_at_image(file: BinaryIO, member: Member) -> Look:
    if member.size > accepted.MAX_BYTES:
        look = _verify(file, member)
        look.findings.append(("bytes", ""))
        return look
    data = read_member(file, member)
    head = data.read(file_types.HEAD_BYTES)
    data.seek(0)
    picture = file_types.picture_type(head)
    if picture is None or picture.name not in accepted.READABLE:
        return Look(findings=[("other type", file_types.file_type(head) or "no picture")])
    try:
        info = images.inspect_image(data)
    except UnusableImageError as exc:
        return Look(findings=[(str(exc), "")])
    return Look(info, findings=[*_name_findings(member, info), *((note, "") for note in info.notes)])


def _name_findings(member: Member, info: ImageInfo) -> list[tuple[str, str]]:
    picture = next(each for each in accepted.PICTURES if each.name == info.format)
    findings = [("profile", info.profile)] if info.profile else []
    if not picture.trains:
        findings.append(("converted", picture.label))
    elif picture.converts:
        findings.append(("webp", ""))
    elif member.suffix.lower() in picture.renamed:
        findings.append(("ending", picture.endings[0]))
    elif member.suffix.lower() not in picture.endings:
        findings.append(("name", picture.label))
    return findings
