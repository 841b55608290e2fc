"""What a file really is, told from its first bytes."""

from __future__ import annotations

HEAD = 512
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
OTHERS = {
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


def archive_kind(head: bytes) -> str:
    """Such as “a RAR archive”; empty when `head` begins no archive."""
    if head[257:262] == TAR:
        return "a tar archive"
    return _marked(head, ARCHIVES)


def kind(head: bytes) -> str:
    """Such as “a GIF picture” or “a web page”; empty when nobody knows."""
    if found := TRAINABLE.get(head[:3]):  # first, for nearly all are
        return "a tar archive" if head[257:262] == TAR else found
    if found := archive_kind(head) or _boxed(head) or _marked_up(head):
        return found
    return _marked(head, OTHERS)


def _marked(head: bytes, marks: dict[bytes, str]) -> str:
    if not head.startswith(tuple(marks)):
        return ""
    return next(kind for mark, kind in marks.items() if head.startswith(mark))


def _boxed(head: bytes) -> str:
    """Formats whose mark stands a few bytes in."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "a WebP picture"
    if head[4:8] != b"ftyp":
        return ""
    if head[8:12] in (b"avif", b"avis"):
        return "an AVIF picture"
    return "a HEIC picture" if head[8:12] in (b"heic", b"heix", b"mif1", b"msf1") else "a video"


def _marked_up(head: bytes) -> str:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not text.startswith(b"<"):
        return ""
    return "an SVG drawing" if b"<svg" in text else "a web page"
