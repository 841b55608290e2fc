"""Tell the format of a picture by its first bytes."""

from __future__ import annotations


def image_format(content: bytes) -> str:
    """png, jpeg or webp, by the first bytes; empty for everything else."""
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if content.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    return "webp" if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else ""
