"""What the real trainer needs beside the portal's own packages, and how to install it in this environment."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

from finetune_portal import env
from finetune_portal.engine.trainers import memory

TRAINING = ("accelerate", "diffusers", "peft", "safetensors", "torch", "transformers")
QUANTIZERS = {memory.INT8: "torchao", memory.SMALL: "bitsandbytes"}


def missing(names: tuple[str, ...]) -> list[str]:
    return [name for name in names if find_spec(name) is None]


def install_command(what: str) -> str:
    """The command that installs `what` for the Python that runs this, such as .venv-train/bin/pip install."""
    pip = Path(sys.prefix) / "bin" / "pip"
    if not pip.exists():
        return f"{sys.executable} -m pip install {what}"
    return f"{pip.relative_to(env.ROOT) if pip.is_relative_to(env.ROOT) else pip} install {what}"


def quantizer_advice(way: str) -> str:
    return f"Run: {install_command(QUANTIZERS[way])}"
