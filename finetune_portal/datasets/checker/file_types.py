"""Detect the type of a file from its first bytes."""

from __future__ import annotations

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
TRAINABLE = {b"\xff\xd8\xff": "a JPEG picture", b"\x89PN": "a PNG picture"}
OTHER_TYPES = {
    b"GIF8": "a GIF picture",
    b"II*\x00": "a TIFF picture",
    b"MM\x00*": "a TIFF picture",
    b"8BPS": "a Photoshop file",
    b"%PDF": "a PDF",
    b"MZ": "a Windows program",
    b"\x7fELF": "a program",
    b"#!": "a script",
    b"BM": "a BMP picture",
}
ARCHIVE_SUFFIXES = (".zip", ".rar", ".7z", ".gz", ".tgz", ".tar", ".bz2", ".xz", ".zst", ".cab", ".iso")


def archive_type(head: bytes) -> str:
    """The type of an archive, such as “a RAR archive”; empty for other files."""
    if head[257:262] == TAR:
        return "a tar archive"
    return _by_magic(head, ARCHIVES)


def file_type(head: bytes) -> str:
    """The type of a file, such as “a GIF picture” or “a web page”; empty if unknown."""
    if trainable := TRAINABLE.get(head[:3]):  # first, because nearly all files are
        return "a tar archive" if head[257:262] == TAR else trainable
    return archive_type(head) or _by_container(head) or _by_markup(head) or _by_magic(head, OTHER_TYPES)


def _by_magic(head: bytes, types: dict[bytes, str]) -> str:
    if not head.startswith(tuple(types)):
        return ""
    return next(name for magic, name in types.items() if head.startswith(magic))


def _by_container(head: bytes) -> str:
    """Container formats, whose brand follows a size."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "a WebP picture"
    if head[4:8] != b"ftyp":
        return ""
    if head[8:12] in (b"avif", b"avis"):
        return "an AVIF picture"
    return "a HEIC picture" if head[8:12] in (b"heic", b"heix", b"mif1", b"msf1") else "a video"


def _by_markup(head: bytes) -> str:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not text.startswith(b"<"):
        return ""
    return "an SVG drawing" if b"<svg" in text else "a web page"
