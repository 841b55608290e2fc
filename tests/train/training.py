"""What the tests of real training share: datasets, and trainings in this process or in a child of it."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from finetune_portal.engine import datasets
from finetune_portal.engine.trainers import parameters
from finetune_portal.engine.trainers.lora.distributed import Group
from finetune_portal.engine.trainers.lora.training import Training
from finetune_portal.engine.trainers.trainer import Spec
from tests.engine.calling import zipped

WORDS = "turn the colours"


def picture(seed: int, size: tuple[int, int] = (64, 64)) -> Image.Image:
    """Soft blotches of colour, different for each seed."""
    blotches = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(blotches).resize(size, Image.Resampling.BICUBIC)


def png(image: Image.Image) -> bytes:
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def dataset(path: Path, files: dict[str, bytes] | None = None) -> datasets.Dataset:
    """A checked ZIP; without files of its own, four pairs in which the colours are turned."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(zipped(files or turned_colours(4)))
    return datasets.read(path, instance_prompt=WORDS)


def turned_colours(count: int, size: tuple[int, int] = (64, 64)) -> dict[str, bytes]:
    files = {}
    for number in range(1, count + 1):
        control = picture(number, size)
        files[f"{number:02}_start.png"] = png(control)
        files[f"{number:02}_end.png"] = png(Image.merge("RGB", control.split()[::-1]))
    return files


def spec(zip_file: datasets.Dataset, *, steps: int = 12, **advanced: Any) -> Spec:
    told = {"checkpoint_steps": 4, "sample_steps": 1000, "rank": 4, **advanced}
    return Spec("Colours", WORDS, steps, 0.01, zip_file, parameters.read(told))


def request(told: Spec, model: Path) -> dict[str, Any]:
    """What the engine writes for its child."""
    return {
        "name": told.name,
        "instance_prompt": told.instance_prompt,
        "steps": told.steps,
        "learning_rate": told.learning_rate,
        "dataset": str(told.dataset.path),
        "dataset_sha256": told.dataset.sha256,
        "model": str(model),
        "model_name": "a model",
        **parameters.complete(told.parameters),
    }


def training(told: Spec, model: Path, work: Path, group: Group = Group()) -> Training:  # noqa: B008
    """In this process, silent."""
    work.mkdir(parents=True, exist_ok=True)
    return Training(work, request(told, model), lambda event, **_: None, group)
