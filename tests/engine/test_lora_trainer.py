"""What a training is started with, and started again with after an upgrade."""

from __future__ import annotations

import json
from pathlib import Path

from finetune_portal.engine.datasets import Dataset
from finetune_portal.engine.trainers import parameters
from finetune_portal.engine.trainers.devices import Devices
from finetune_portal.engine.trainers.families.layouts import LAYOUTS
from finetune_portal.engine.trainers.lora_trainer import LoraTrainer
from finetune_portal.engine.trainers.model_folder import BaseModel
from finetune_portal.engine.trainers.trainer import TrainingSpec


def test_a_new_training_has_the_defaults(tmp_path: Path) -> None:
    request = LoraTrainer([model()], Devices([]), None).request(spec(tmp_path), tmp_path)
    assert {name: request[name] for name in parameters.KNOWN} == parameters.with_defaults({"rank": 8})


def test_a_training_that_was_begun_keeps_its_parameters(tmp_path: Path) -> None:
    """Version 0.1 trained the attention alone, and knew neither modulation nor timestep_sampling."""
    trainer = LoraTrainer([model()], Devices([]), None)
    begun = trainer.request(spec(tmp_path), tmp_path) | {"feed_forward": False}
    del begun["modulation"], begun["timestep_sampling"]
    (tmp_path / "request.json").write_text(json.dumps(begun), encoding="utf-8")
    assert trainer.request(spec(tmp_path), tmp_path) == begun


def test_of_a_base_model_that_is_gone_it_says_nothing_of_another() -> None:
    trainer = LoraTrainer([model()], Devices([]), None)
    assert trainer.about("flux-2-klein") == {"trainer": "flux-2-klein", "simulated": False}
    assert trainer.about()["base_model"] == "kontext"


def model() -> BaseModel:
    layout = LAYOUTS["FluxKontextPipeline"]
    return BaseModel(Path("/models/kontext"), "kontext", False, layout, layout.variant(3072))


def spec(folder: Path) -> TrainingSpec:
    return TrainingSpec("hats", "", 10, 0.0001, Dataset(folder / "a.zip", "0" * 64, 4), {"rank": 8})
