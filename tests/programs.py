"""Programs that some tests need and Python does not bring."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def needed(*names: str) -> str:
    """The path of the first that is installed. Without one the test is skipped; with CI set it fails."""
    path = next(filter(None, map(shutil.which, names)), None)
    return path or missing(f"{names[0]} is not installed")


def missing(what: str) -> NoReturn:
    """Skip the test and say what is missing; with CI set it fails."""
    if os.environ.get("CI"):
        pytest.fail(f"CI must run this test, but {what}.")
    pytest.skip(what)
