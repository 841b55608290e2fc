"""Read the model file of a job at an engine slice by slice, for a browser that cannot reach the engine.

Between two slices neither a thread nor a connection is held, here or at the engine: a browser that reads
slowly costs the memory of one slice.
"""

from __future__ import annotations

from collections.abc import Iterator
from time import monotonic

from finetune_portal.connections.client import adapter_for
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.sync import weights
from finetune_portal.providers.errors import InvalidResponseError
from finetune_portal.providers.http.files import FileSlice

SLICE = 4 * 1024 * 1024  # bytes
LINK_SECONDS = 600.0  # a link is valid for an hour, and a download may take longer


class ModelStream:
    """A file of `size` bytes. Opening and reading may raise a CallError."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._link, self._renew_at = "", 0.0
        self._first = self._read(0, SLICE)
        self.size, self.etag, self.modified = self._first.total, self._first.etag, self._first.modified

    def blocks(self, start: int, end: int) -> Iterator[bytes]:
        while start < end:
            if start < len(self._first.content):
                block = self._first.content[start:end]
            else:
                block = self._read(start, min(start + SLICE, end)).content
            yield block
            start += len(block)

    def _read(self, start: int, end: int) -> FileSlice:
        with adapter_for(self._job.connection) as adapter:
            if monotonic() >= self._renew_at:
                self._link = adapter.file_link(weights.file_of(self._job))
                self._renew_at = monotonic() + LINK_SECONDS
            part = adapter.files.get_slice(self._link, start, end)
        if start and part.etag != self.etag:
            raise InvalidResponseError("The model file changed while it was read. Download it again.")
        return part
