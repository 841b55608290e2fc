"""A stored model file, to be sent whole or by ranges (web/downloads.py)."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.http import http_date

from finetune_portal.registry.models import ModelFile

BLOCK = 1024 * 1024


class StoredFile:
    """The portal's own copy. Its ETag is its SHA-256, so a download goes on wherever it began."""

    def __init__(self, file: ModelFile) -> None:
        """Raises FileNotFoundError where the file is not on the disk, or not whole."""
        self._path, self.size = file.path, file.size or 0
        if self._path.stat().st_size != self.size:
            raise FileNotFoundError(self._path)
        self.etag = f'"{file.sha256}"'
        self.modified = http_date(file.stored_at.timestamp()) if file.stored_at else ""

    def blocks(self, start: int, end: int) -> Iterator[bytes]:
        with self._path.open("rb") as file:
            file.seek(start)
            while start < end and (block := file.read(min(BLOCK, end - start))):
                yield block
                start += len(block)
