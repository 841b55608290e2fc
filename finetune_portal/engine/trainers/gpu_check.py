"""Check at the start that PyTorch can use this machine's GPUs for a model of full size."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from finetune_portal import env
from finetune_portal.engine.trainers import children, devices, memory, packages
from finetune_portal.engine.trainers.families.layouts import Variant

NOT_ON_A_CPU = (
    "A model of full size is not trained on a CPU. "
    "make run-train without KONTEXT_MODEL_DIR and MODEL_DIRS trains the tiny model."
)
SECONDS = 180.0  # to import PyTorch on a machine that is busy


class GpuError(Exception):
    """Says why a model of full size cannot be trained on this machine, in a sentence for the operator."""


@dataclass(frozen=True)
class Seen:
    """What PyTorch sees: the memory of each GPU in bytes, and its own version."""

    memory: list[int]
    torch: str


def check(names: list[str], variants: Iterable[Variant]) -> None:
    """Raise GpuError unless PyTorch sees each GPU of `names` (devices.find) and has what the models need."""
    if names == [devices.CPU]:
        raise GpuError(f"No driver lists a GPU on this machine. {NOT_ON_A_CPU}")
    seen = _ask_pytorch(names)
    judge(names, seen, variants, missing=packages.missing(tuple(packages.QUANTIZERS.values())))


def judge(names: list[str], seen: Seen, variants: Iterable[Variant], *, missing: Collection[str]) -> None:
    """Raise GpuError unless what PyTorch sees is enough for the GPUs of `names`."""
    count = sum(len(name.split(",")) for name in names)
    if len(seen.memory) < count:
        raise GpuError(
            f"The driver sees {_gpus(count)}, PyTorch {seen.torch} sees {len(seen.memory) or 'none'}. "
            "Install a PyTorch for the CUDA version of the driver: https://pytorch.org/get-started/locally/"
        )
    smallest = min(seen.memory)
    for variant in variants:
        way = memory.choose(memory.AUTO, variant.needs, smallest)
        package = packages.QUANTIZERS.get(way)
        if package in missing:
            raise GpuError(
                f"A GPU has {smallest / 1024**3:.0f} GB, where {variant.title} is loaded "
                f"{memory.WORDS[way]}. That needs the package {package}. {packages.quantizer_advice(way)}"
            )


def _gpus(count: int) -> str:
    return "1 GPU" if count == 1 else f"{count} GPUs"


def _ask_pytorch(names: list[str]) -> Seen:
    """Ask in a process of its own, because this one does not import PyTorch."""
    try:
        child = subprocess.run(  # nosec B603  # our own module
            [sys.executable, "-m", f"{children.PACKAGE}.lora.gpus"],
            cwd=env.ROOT,
            env=children.environment(",".join(names)),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise GpuError(f"PyTorch did not start within {SECONDS:.0f} seconds.") from None
    except subprocess.CalledProcessError as error:
        lines = error.stderr.strip().splitlines() or ["it said nothing"]
        raise GpuError(f"PyTorch does not start: {lines[-1]}") from None
    event = json.loads(child.stdout.splitlines()[-1])
    return Seen(event["memory"], event["torch"])
