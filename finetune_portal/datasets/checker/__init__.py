"""Check and repair dataset ZIPs. Pure Python and Pillow: no Django, no network.

The portal imports names from here only, and no Pillow by it: that is loaded in a child process with limits.
"""

from finetune_portal.datasets.checker.accepted import MAX_BYTES
from finetune_portal.datasets.checker.code_pages import LABELS as CODE_PAGES
from finetune_portal.datasets.checker.for_page import accepted_files, code_page
from finetune_portal.datasets.checker.messages import ZipRejectedError
from finetune_portal.datasets.checker.picture_task import FAILURES, PictureTask
from finetune_portal.datasets.checker.sandbox import (
    Limits,
    check_slice,
    check_zip,
    make_pictures,
    refused,
    repair_zip,
)
from finetune_portal.datasets.checker.verdict import Verdict

__all__ = [
    "CODE_PAGES",
    "FAILURES",
    "MAX_BYTES",
    "Limits",
    "PictureTask",
    "Verdict",
    "ZipRejectedError",
    "accepted_files",
    "check_slice",
    "check_zip",
    "code_page",
    "make_pictures",
    "refused",
    "repair_zip",
]
