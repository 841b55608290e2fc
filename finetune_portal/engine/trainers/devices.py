"""The GPUs of this machine, asked of the driver: no package is needed for it."""

from __future__ import annotations

import subprocess

from finetune_portal import env

CPU = ""


def found() -> list[str]:
    """What CUDA_VISIBLE_DEVICES may be, one training each; the CPU is one place where there is no GPU."""
    if (given := env.text("CUDA_VISIBLE_DEVICES")) or "CUDA_VISIBLE_DEVICES" in env.whole():
        return given.split(",") if given else [CPU]
    try:
        asked = subprocess.run(  # nosec B603 B607  # a fixed command, found by PATH
            ["nvidia-smi", "--query-gpu=uuid", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return [CPU]
    return asked.stdout.split() or [CPU]
