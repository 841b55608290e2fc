"""Programs that some tests need and Python does not bring."""

from __future__ import annotations

import os
import shutil

import pytest


def needed(*names: str) -> str:
    """The path of the first that is installed. Without one the test is skipped; with CI set it fails."""
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        missing = f"{names[0]} is not installed"
        if os.environ.get("CI"):
            pytest.fail(f"CI must run this test, but {missing}.")
        pytest.skip(missing)
    return path
