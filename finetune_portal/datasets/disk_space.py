"""The room on the portal's disk. Some of it always stays free, for the database and everything else."""

from __future__ import annotations

import shutil
from pathlib import Path

from django.conf import settings

from finetune_portal.web.templatetags.portal import size


def lacks_room(coming: int) -> str:
    """Why so many more bytes cannot come in, in a sentence; empty where they can."""
    folder = Path(settings.DATA_DIR)
    there = next(place for place in (folder, *folder.parents) if place.exists())
    free = max(0, shutil.disk_usage(there).free - settings.DISK_FLOOR_BYTES)
    if coming <= free:
        return ""
    room = f"The portal's disk has room for {size(free)}, and this needs {size(coming)}."
    return f"{room} Tell an admin; nothing is lost."
