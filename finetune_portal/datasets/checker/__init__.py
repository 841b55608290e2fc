"""Check and repair dataset ZIPs. Pure Python and Pillow: no Django, no network.

The portal imports names from here only. `check_zip` and `repair_zip` run in a child process with limits.
"""

from finetune_portal.datasets.checker.accepted import MAX_BYTES
from finetune_portal.datasets.checker.evaluate import Verdict
from finetune_portal.datasets.checker.for_page import accepted_files, code_page
from finetune_portal.datasets.checker.images import ImageInfo, UnusableImageError, inspect_image
from finetune_portal.datasets.checker.inspect import inspect_zip
from finetune_portal.datasets.checker.messages import ZipRejectedError
from finetune_portal.datasets.checker.pictures import PictureTask
from finetune_portal.datasets.checker.sandbox import (
    Limits,
    check_slice,
    check_zip,
    make_pictures,
    refused,
    repair_zip,
)

__all__ = [
    "MAX_BYTES",
    "ImageInfo",
    "Limits",
    "PictureTask",
    "UnusableImageError",
    "Verdict",
    "ZipRejectedError",
    "accepted_files",
    "check_slice",
    "check_zip",
    "code_page",
    "inspect_image",
    "inspect_zip",
    "make_pictures",
    "refused",
    "repair_zip",
]
