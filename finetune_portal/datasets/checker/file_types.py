"""Detect the type of a file from its first bytes."""

from __future__ import annotations

from finetune_portal.datasets.checker import accepted
from finetune_portal.datasets.checker.accepted import PictureType

HEAD_BYTES = 512
ARCHIVES = {
    b"PK\x03\x04": "a ZIP archive",
    b"PK\x05\x06": "a ZIP archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ\x00": "an XZ archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
}
TAR = b"ustar"
OTHER_TYPES = {
    b"%PDF": "a PDF",
    b"MZ": "a Windows program",
    b"\x7fELF": "a program",
    b"#!": "a script",
}
ARCHIVE_SUFFIXES = (".zip", ".rar", ".7z", ".gz", ".tgz", ".tar", ".bz2", ".xz", ".zst", ".cab", ".iso")


def archive_type(head: bytes) -> str:
    """The type of an archive, such as “a RAR archive”; empty for other files."""
    if head[257:262] == TAR:
        return "a tar archive"
    return _by_magic(head, ARCHIVES)


def file_type(head: bytes) -> str:
    """The type of a file, such as “a GIF picture” or “a web page”; empty if unknown."""
    if head[257:262] == TAR:
        return "a tar archive"
    if picture := picture_type(head):
        return picture.label
    video = "a video" if head[4:8] == b"ftyp" else ""
    return archive_type(head) or video or _by_markup(head) or _by_magic(head, OTHER_TYPES)


def picture_type(head: bytes) -> PictureType | None:
    """The picture type whose magic `head` has; None for other files."""
    return next((each for each in accepted.PICTURES if _has_magic(head, each)), None)


def _has_magic(head: bytes, picture: PictureType) -> bool:
    return any(
        all(head.startswith(magic, offset) for offset, magic in alternative) for alternative in picture.magic
    )


def _by_magic(head: bytes, types: dict[bytes, str]) -> str:
    if not head.startswith(tuple(types)):
        return ""
    return next(name for magic, name in types.items() if head.startswith(magic))


def _by_markup(head: bytes) -> str:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not text.startswith(b"<"):
        return ""
    return "an SVG drawing" if b"<svg" in text else "a web page"
