"""Read a dataset's file from the start while its end is still being uploaded."""

from __future__ import annotations

import hashlib
import io
import time

from finetune_portal.datasets.models import Dataset

STALL_SECONDS = 20.0  # without a new byte; the provider's storage closes idle connections, too
POLL_SECONDS = 0.05


class UploadStalledError(Exception):
    """The upload stopped. The text is shown to people."""


class GrowingFile(io.RawIOBase):
    """Read the committed bytes and wait for more, up to the announced size. Raises UploadStalledError.

    The digests are computed while reading, so that gigabytes are not read a second time.
    """

    def __init__(self, dataset: Dataset) -> None:
        super().__init__()
        self._dataset, self._offset = dataset, 0
        self._file = dataset.path.open("rb")
        self._digests = {"sha256": hashlib.sha256(), "md5": hashlib.md5(usedforsecurity=False)}

    def read(self, size: int = -1) -> bytes:
        self._wait()
        available = self._dataset.received - self._offset
        data = self._file.read(available if size is None or size < 0 else min(size, available))
        self._offset += len(data)
        for digest in self._digests.values():
            digest.update(data)
        return data

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 and MD5 of the bytes read so far, as fields of a Dataset."""
        return {name: digest.hexdigest() for name, digest in self._digests.items()}

    def _wait(self) -> None:
        """Block until there are unread bytes, or the whole file was read."""
        idle_since = time.monotonic()
        while self._offset == self._dataset.received < self._dataset.size:
            if time.monotonic() - idle_since > STALL_SECONDS:
                raise UploadStalledError(
                    "The upload to the portal paused. The transfer starts again when the file is complete."
                )
            time.sleep(POLL_SECONDS)
            self._dataset.refresh_from_db(fields=["received"])

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()
