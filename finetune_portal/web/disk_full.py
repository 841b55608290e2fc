"""Tell a full disk from a fault of the portal, and say so. No Django."""

from __future__ import annotations

import errno
import os

from finetune_portal.web.sizes import size

FULL = (errno.ENOSPC, errno.EDQUOT)
STATUS = 507
SENTENCE = "The portal's disk is full. Tell an admin; nothing is lost."


class DiskFullError(OSError):
    """There is no room above the floor. The text is a sentence for people.

    The errno is that of a full disk.
    """

    def __init__(self, needed: int, left: int) -> None:
        super().__init__(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.needed, self.left = needed, left

    def __str__(self) -> str:
        return (
            f"The portal's disk has room for {size(self.left)}, and this needs {size(self.needed)}. "
            "Tell an admin; nothing is lost."
        )


def sentence(exc: BaseException | None) -> str:
    """Say why there was no room; empty for every other error."""
    if isinstance(exc, DiskFullError):
        return str(exc)
    return SENTENCE if isinstance(exc, OSError) and exc.errno in FULL else ""
