"""A dataset's file to read from the start, even while its end is still coming in."""

from __future__ import annotations

import hashlib
import io
import time

from finetune_portal.datasets.models import Dataset

PATIENCE = 20.0  # seconds without a new byte; a storage does not wait for ever either
LOOK_AGAIN = 0.05


class Stalled(Exception):
    """The upload stopped; the text is for people."""


class Incoming(io.RawIOBase):
    """Reads what is committed on disk and waits for more, up to the announced size. Raises Stalled.

    What was read is digested on the way, so that nobody reads gigabytes a second time for it.
    """

    def __init__(self, dataset: Dataset) -> None:
        super().__init__()
        self._dataset, self._at = dataset, 0
        self._file = dataset.path.open("rb")
        self._digests = {"sha256": hashlib.sha256(), "md5": hashlib.md5(usedforsecurity=False)}

    def read(self, size: int = -1) -> bytes:
        self._wait()
        here = self._dataset.received - self._at
        data = self._file.read(here if size is None or size < 0 else min(size, here))
        self._at += len(data)
        for digest in self._digests.values():
            digest.update(data)
        return data

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 and MD5 of all that was read, as fields of a Dataset."""
        return {name: digest.hexdigest() for name, digest in self._digests.items()}

    def _wait(self) -> None:
        """Until something is there beyond what was read, or all was."""
        quiet_since = time.monotonic()
        while self._at == self._dataset.received < self._dataset.size:
            if time.monotonic() - quiet_since > PATIENCE:
                raise Stalled("The upload to the portal paused. The hand-over begins again when it is whole.")
            time.sleep(LOOK_AGAIN)
            self._dataset.refresh_from_db(fields=["received"])

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self._file.close()
        super().close()
