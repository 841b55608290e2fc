"""Free space on the portal's disk. A reserve stays free for the database and everything else."""

from __future__ import annotations

import shutil
from pathlib import Path

from django.conf import settings

from finetune_portal.web.templatetags.portal import size


def disk_full_message(incoming: int) -> str:
    """Why `incoming` more bytes do not fit, in a sentence; empty if they do."""
    folder = Path(settings.DATA_DIR)
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = max(0, shutil.disk_usage(existing).free - settings.DISK_FLOOR_BYTES)
    if incoming <= free:
        return ""
    return (
        f"The portal's disk has room for {size(free)}, and this needs {size(incoming)}. "
        "Tell an admin; nothing is lost."
    )
