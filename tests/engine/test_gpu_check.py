"""What keeps a model of full size from the GPUs of this machine, or of a Ray node, is said at the start."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest

from finetune_portal.engine.trainers import devices, gpu_check, memory
from finetune_portal.engine.trainers.families.layouts import LAYOUTS
from finetune_portal.engine.trainers.gpu_check import GpuError, Seen
from finetune_portal.engine.trainers.on_ray import node
from tests.engine.test_missing_packages import TINY

GIB = 1024**3


def test_a_cpu_is_not_enough() -> None:
    with pytest.raises(GpuError, match="No driver lists a GPU on this machine"):
        gpu_check.check([devices.CPU], [])


def test_a_pytorch_without_cuda_is_named() -> None:
    with pytest.raises(GpuError, match=r"The driver sees 2 GPUs, PyTorch 2\.13\.0\+cpu sees none\."):
        gpu_check.judge(["GPU-1", "GPU-2"], Seen([], "2.13.0+cpu"), [], missing=[])
    with pytest.raises(GpuError, match=r"The driver sees 2 GPUs, PyTorch 2\.13\.0 sees 1\."):
        gpu_check.judge(["GPU-1,GPU-2"], Seen([80 * GIB], "2.13.0"), [], missing=[])


@pytest.mark.parametrize(
    ("gigabytes", "width", "way"),
    [
        (16, 3072, "full"),  # klein 4B
        (12, 3072, "int8"),
        (8, 3072, "small"),
        (16, 4096, "small"),  # klein 9B
        (24, 4096, "int8"),
        (32, 4096, "full"),
    ],
)
def test_the_weights_are_held_in_the_way_that_fits_the_card(gigabytes: int, width: int, way: str) -> None:
    klein = LAYOUTS["Flux2KleinPipeline"].variants[width]
    assert memory.choose("auto", klein.needs, gigabytes * GIB) == way
    assert memory.choose("int8", klein.needs, gigabytes * GIB) == "int8"


@pytest.mark.parametrize(("gigabytes", "way"), [(24, "small"), (32, "int8"), (48, "int8"), (80, "full")])
def test_both_versions_of_qwen_need_the_same(gigabytes: int, way: str) -> None:
    layout = LAYOUTS["QwenImageEditPlusPipeline"]
    for switches in ((), ("zero_cond_t",)):
        assert memory.choose("auto", layout.variant(3072, switches).needs, gigabytes * GIB) == way


def test_what_a_small_card_needs_is_named() -> None:
    variants = list(LAYOUTS["Flux2KleinPipeline"].variants.values())
    card = Seen([24 * GIB], "2.13.0")
    says = r"24 GB, where FLUX\.2 klein 9B base is loaded in 8 bits\. That needs the package torchao\. Run: "
    with pytest.raises(GpuError, match=says):
        gpu_check.judge(["GPU-1"], card, variants, missing=["torchao"])
    gpu_check.judge(["GPU-1"], card, variants, missing=["bitsandbytes"])
    gpu_check.judge(["GPU-1"], Seen([80 * GIB], "2.13.0"), variants, missing=["bitsandbytes", "torchao"])


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
