"""What the tests of real training share: datasets, and trainings in this process."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from finetune_portal.engine import datasets
from finetune_portal.engine.images import pixels
from finetune_portal.engine.trainers import model_folder, parameters
from finetune_portal.engine.trainers.lora.distributed import ProcessGroup
from finetune_portal.engine.trainers.lora.training import Training
from finetune_portal.engine.trainers.trainer import TrainingSpec
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


def dataset(path: Path, files: dict[str, bytes] | None = None, *, most_inputs: int = 1) -> datasets.Dataset:
    """A checked ZIP; without files of its own, four pairs in which the colours are turned."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(zipped(files or turned_colours(4)))
    return datasets.check(path, instance_prompt=WORDS, check_image=pixels.check, most_inputs=most_inputs)


def turned_colours(count: int, size: tuple[int, int] = (64, 64)) -> dict[str, bytes]:
    files = {}
    for number in range(1, count + 1):
        control = picture(number, size)
        files[f"{number:02}_start.png"] = png(control)
        files[f"{number:02}_end.png"] = png(Image.merge("RGB", control.split()[::-1]))
    return files


def spec(zip_file: datasets.Dataset, *, steps: int = 12, **advanced: Any) -> TrainingSpec:
    advanced = {"checkpoint_steps": 4, "sample_steps": 1000, "rank": 4, **advanced}
    return TrainingSpec("Colours", WORDS, steps, 0.01, zip_file, parameters.read(advanced))


def request(training_spec: TrainingSpec, model: Path) -> dict[str, Any]:
    """What the engine writes for its child."""
    return {
        "name": training_spec.name,
        "instance_prompt": training_spec.instance_prompt,
        "steps": training_spec.steps,
        "learning_rate": training_spec.learning_rate,
        "dataset": str(training_spec.dataset.path),
        "dataset_sha256": training_spec.dataset.sha256,
        "model": str(model),
        "model_name": "a model",
        **parameters.with_defaults(training_spec.parameters, model_folder.inspect(model).parameters),
    }


def training(
    training_spec: TrainingSpec, model: Path, work: Path, group: ProcessGroup | None = None
) -> Training:
    """A prepared training in this process, which reports to nobody."""
    work.mkdir(parents=True, exist_ok=True)
    prepared = Training(work, request(training_spec, model), lambda event, **_: None, group or ProcessGroup())
    prepared.prepare()
    return prepared
