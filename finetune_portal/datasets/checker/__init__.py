"""Check and repair dataset ZIPs. Pure Python and Pillow: no Django, no network.

The portal imports names from here only. `check_zip` and `repair_zip` run in a child process with limits.
"""

from finetune_portal.datasets.checker.accepted import as_json as accepted_files
from finetune_portal.datasets.checker.images import (
    FORMATS,
    IMAGE_ERRORS,
    MAX_BYTES,
    ImageInfo,
    UnusableImageError,
    inspect_image,
)
from finetune_portal.datasets.checker.inspect import Verdict, inspect_remote, inspect_zip
from finetune_portal.datasets.checker.messages import ZipRejectedError
from finetune_portal.datasets.checker.sandbox import Limits, check_zip, repair_zip

__all__ = [
    "FORMATS",
    "IMAGE_ERRORS",
    "MAX_BYTES",
    "ImageInfo",
    "Limits",
    "UnusableImageError",
    "Verdict",
    "ZipRejectedError",
    "accepted_files",
    "check_zip",
    "inspect_image",
    "inspect_remote",
    "inspect_zip",
    "repair_zip",
]
