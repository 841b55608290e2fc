"""A disk of its own, so small that a test fills it: a tmpfs, which only root may mount."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MB = 1_000_000
MOUNT, UMOUNT = "/bin/mount", "/bin/umount"


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[bool]:
    """Mount `size` bytes of memory at `folder` for the block; yield whether that worked."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        mount = [MOUNT, "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(folder)]
        is_mounted = not subprocess.run(mount, check=False, capture_output=True).returncode
    except OSError:
        is_mounted = False
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run([UMOUNT, "--lazy", str(folder)], check=True)
