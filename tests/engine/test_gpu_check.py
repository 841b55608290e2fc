"""What keeps a model of full size from the GPUs of this machine, or of a Ray node, is said at the start."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest

from finetune_portal.engine.trainers import devices, gpu_check
from finetune_portal.engine.trainers.gpu_check import GpuError, Seen
from finetune_portal.engine.trainers.on_ray import node
from tests.engine.test_missing_packages import TINY

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


def test_a_node_says_it_before_anything_is_downloaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Path(shutil.copytree(TINY, tmp_path / "model"))
    config = model / "transformer" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "num_attention_heads": 24 * 128}))
    nowhere = node.Files("http://127.0.0.1:1/files", "", "")
    for device, reason in (("", "No driver lists a GPU on this machine"), ("7", "PyTorch")):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", device)
        (event,) = node.train({"model": str(model)}, nowhere)
        assert event["event"] == "failed"
        assert event["message"].startswith(f"The node {socket.gethostname()} cannot train: ")
        assert reason in event["message"]
