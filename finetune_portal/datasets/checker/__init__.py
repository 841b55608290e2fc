"""Check and repair dataset ZIPs. Pure Python and Pillow: no Django, no network.

The portal imports names from here only. What decodes a picture runs in a child process with limits, but for
`inspect_zip`, which is for tests.
"""

from finetune_portal.datasets.checker.accepted import MAX_BYTES
from finetune_portal.datasets.checker.evaluate import Verdict
from finetune_portal.datasets.checker.for_page import accepted_files, code_page
from finetune_portal.datasets.checker.inspect import inspect_zip
from finetune_portal.datasets.checker.messages import ZipRejectedError
from finetune_portal.datasets.checker.pictures import PictureTask
from finetune_portal.datasets.checker.sandbox import (
    Limits,
    check_slice,
    check_zip,
    make_pictures,
    picture_format,
    refused,
    repair_zip,
)

__all__ = [
    "MAX_BYTES",
    "Limits",
    "PictureTask",
    "Verdict",
    "ZipRejectedError",
    "accepted_files",
    "check_slice",
    "check_zip",
    "code_page",
    "inspect_zip",
    "make_pictures",
    "picture_format",
    "refused",
    "repair_zip",
]
