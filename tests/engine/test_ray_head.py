"""The head of a Ray cluster needs no PyTorch of its own: nodes train. What it lacks for images is said.

`ray` and PyTorch are stand-ins in an environment of Python: tests/train/test_ray.py has a real cluster.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sysconfig
import venv
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from finetune_portal.engine.trainers import packages
from tests import databases
from tests.engine.test_missing_packages import TINY
from tests.running import ROOT

RAY = """
def init(*args, **options): pass
def cluster_resources(): return {resources}
"""
TORCH = """
__version__ = "2.13.0+cpu"
class cuda:
    device_count = staticmethod(lambda: 0)
"""


@pytest.fixture
def head() -> Iterator[str]:
    """The address of something that listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def large_model(tmp_path: Path) -> Path:
    model = Path(shutil.copytree(TINY, tmp_path / "model"))
    config = model / "transformer" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "num_attention_heads": 24 * 128}))
    return model


def start(folder: Path, head: str, model: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """What the engine says of its trainer at the start, in the environment of `install_ray`."""
    return subprocess.run(
        [folder / "venv" / "bin" / "python", "-m", "finetune_portal.engine", "trainer"],
        cwd=ROOT,
        env={
            **databases.variables_of(folder),
            "KONTEXT_MODEL_DIR": str(model),
            "RAY_ADDRESS": head,
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )


def install_ray(folder: Path, **resources: int) -> Path:
    """Make an environment with the packages of this one and ray; return the folder of its packages."""
    venv.create(folder / "venv")
    (path,) = (folder / "venv").glob("lib/python*/site-packages")
    (path / "here.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    (path / "ray").mkdir()
    (path / "ray" / "__init__.py").write_text(RAY.format(resources=resources))
    (path / "ray" / "exceptions.py").write_text("class RayError(Exception): pass\n")
    return path


def install_pytorch_without_cuda(path: Path) -> None:
    for name in packages.TRAINING:
        (path / f"{name}.py").write_text(TORCH if name == "torch" else "")


@pytest.mark.skipif(bool(find_spec("torch")), reason="the packages of requirements-train.txt are here")
def test_a_head_without_pytorch_starts(tmp_path: Path, head: str, large_model: Path) -> None:
    install_ray(tmp_path, GPU=2)
    ended = start(tmp_path, head, large_model)
    assert (ended.returncode, ended.stdout) == (0, "It trains finetune-portal/tiny-kontext.\n")
    assert "Nodes of the Ray cluster train, but finished models do not run here." in ended.stderr
    assert "On the engine's machine accelerate, diffusers" in ended.stderr
    assert "torch, transformers are not installed. Run: " in ended.stderr


@pytest.mark.parametrize(
    ("visible", "reason"),
    [
        ("0", "The driver sees 1 GPU, PyTorch 2.13.0+cpu sees none."),
        ("", "No driver lists a GPU on this machine, and a model of full size does not run on a CPU."),
    ],
    ids=["without-cuda", "without-gpu"],
)
def test_a_head_that_cannot_run_models_starts(
    tmp_path: Path, head: str, large_model: Path, visible: str, reason: str
) -> None:
    install_pytorch_without_cuda(install_ray(tmp_path, GPU=2))
    ended = start(tmp_path, head, large_model, CUDA_VISIBLE_DEVICES=visible)
    assert (ended.returncode, ended.stdout) == (0, "It trains finetune-portal/tiny-kontext.\n")
    assert f"finished models do not run here. {reason}" in ended.stderr


def test_a_cluster_without_a_gpu_is_refused(tmp_path: Path, head: str, large_model: Path) -> None:
    install_pytorch_without_cuda(install_ray(tmp_path, CPU=8))
    ended = start(tmp_path, head, large_model, CUDA_VISIBLE_DEVICES="0")
    assert ended.returncode == 1
    assert "cannot be trained here. No node of the Ray cluster has a GPU." in ended.stderr
    assert "finished models" not in ended.stderr


def test_the_tiny_model_runs_on_the_heads_cpu(tmp_path: Path, head: str) -> None:
    install_pytorch_without_cuda(install_ray(tmp_path, CPU=8))
    ended = start(tmp_path, head, TINY, CUDA_VISIBLE_DEVICES="0")
    assert (ended.returncode, ended.stderr) == (0, "")
