"""Bodies of requests and files of plain forms, on the disk of DATA_DIR and in its room.

A file of a form is a draft, which becomes what it is for by being moved.
"""

from __future__ import annotations

from io import BufferedRandom
from pathlib import Path
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import FileUploadHandler

from finetune_portal.storage import files
from finetune_portal.storage.room import RoomFile


class StoredUpload(UploadedFile):
    """A file of a form, at `path` until the request ends."""

    def __init__(self, path: Path, file: RoomFile, name: str, content_type: str) -> None:
        super().__init__(file, name, content_type, 0)
        self.path = path

    def close(self) -> None:
        super().close()
        files.delete(self.path)


class StoredUploadHandler(FileUploadHandler):
    """Write each file of a form in room that is taken before. Raises DiskFullError from `request.POST`."""

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        super().new_file(*args, **kwargs)
        path = files.new_draft()
        self._raw = files.open_stored(path)
        self.file = StoredUpload(path, self._raw, str(self.file_name), str(self.content_type))

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        try:
            self.file.write(raw_data)
        except BaseException:
            self.file.close()
            raise

    def file_complete(self, file_size: int) -> StoredUpload:
        self._raw.trim()
        self.file.seek(0)
        self.file.size = file_size
        return self.file

    def upload_interrupted(self) -> None:
        if hasattr(self, "file"):
            self.file.close()


def spool() -> BufferedRandom:
    """Open a file for the body of a request; `truncate` at its end gives back what was not written."""
    return BufferedRandom(files.temporary())
