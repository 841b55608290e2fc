"""What keeps a model of full size from this machine's GPUs is said at the start."""

from __future__ import annotations

import pytest

from finetune_portal.engine.trainers import devices, gpu_check
from finetune_portal.engine.trainers.gpu_check import GpuError, Seen

GIB = 1024**3


def test_a_cpu_is_not_enough() -> None:
    with pytest.raises(GpuError, match="No driver lists a GPU on this machine"):
        gpu_check.check([devices.CPU])


def test_a_pytorch_without_cuda_is_named() -> None:
    with pytest.raises(GpuError, match=r"The driver sees 2 GPUs, PyTorch 2\.13\.0\+cpu sees none\."):
        gpu_check.judge(["GPU-1", "GPU-2"], Seen([], "2.13.0+cpu"), has_quantizer=True)
    with pytest.raises(GpuError, match=r"The driver sees 2 GPUs, PyTorch 2\.13\.0 sees 1\."):
        gpu_check.judge(["GPU-1,GPU-2"], Seen([80 * GIB], "2.13.0"), has_quantizer=True)


def test_a_small_card_needs_the_quantizer() -> None:
    card = Seen([24 * GIB], "2.13.0")
    with pytest.raises(GpuError, match=r"24 GB.*needs the package bitsandbytes\. Run: .*pip install bitsa"):
        gpu_check.judge(["GPU-1"], card, has_quantizer=False)
    gpu_check.judge(["GPU-1"], card, has_quantizer=True)
    gpu_check.judge(["GPU-1"], Seen([80 * GIB], "2.13.0"), has_quantizer=False)
