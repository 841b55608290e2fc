"""A real training over HTTP, from the dataset to a LoRA that changes what FluxKontextPipeline makes."""

from __future__ import annotations

import json
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FluxKontextPipeline
from PIL import Image
from safetensors import safe_open

from finetune_portal.engine.trainers import parameters
from tests.engine.calling import body, call, submit
from tests.running import RunningEngine
from tests.train.jobs import TRAINING, children, events, progress, weights
from tests.train.training import WORDS, picture


@pytest.fixture
def file(trainer: RunningEngine, done: dict[str, Any], tmp_path: Path) -> Path:
    path = tmp_path / "lora.safetensors"
    path.write_bytes(weights(trainer, done))
    return path


def test_extra_says_what_the_engine_can_do_and_what_trains(
    trainer: RunningEngine, done: dict[str, Any]
) -> None:
    extra = call(trainer, "GET", "/extra").json()
    assert {"progress", "samples", "cancel"} <= set(extra["can"])
    assert (extra["trainer"], extra["simulated"], extra["places"]) == ("kontext", False, 1)
    assert (extra["base_model"], extra["tiny_model"]) == ("finetune-portal/tiny-kontext", True)
    about = done["model_information"]
    assert (about["trainer"], about["simulated"], about["tiny_model"]) == ("kontext", False, True)


def test_its_progress_is_reported(trainer: RunningEngine, job: str, done: dict[str, Any]) -> None:
    shown = progress(trainer, job)
    assert (shown["percent"], shown["step"], shown["steps"], shown["ahead"]) == (100.0, 24, 24, None)
    assert [step for step, _loss in shown["loss"]] == list(range(1, 25))
    assert all(loss > 0 for _step, loss in shown["loss"])
    assert shown["held_out"]["pair"] == "01"
    assert not shown["held_out"]["trained_on"]
    for name in ("loss", "weighted_loss"):
        assert [step for step, _loss in shown["held_out"][name]] == [0, 12, 24]
    assert shown["samples"] == [0, 12, 24]
    assert shown["memory_bytes"] > 50_000_000
    assert events(trainer, job, "step")[-1]["seconds_left"] == 0
    assert len(events(trainer, job, "checkpoint")) == 6
    assert children(trainer, job) == []
    assert [event["phase"] for event in events(trainer, job, "phase")] == [
        "Starting the trainer",
        "Reading the dataset",
        "Encoding 4 pairs",
        "Loading the model",
        "Making the first sample",
        "Making the sample of step 12",
        "Making the sample of step 24",
        "Writing the model file",
    ]
    assert shown["phase"] == ""
    assert any(line.endswith("Encoding 4 pairs.") for line in shown["log"])
    assert any("Step 24 of 24: loss " in line for line in shown["log"])


def test_its_samples_are_images_of_the_validation_pair(
    trainer: RunningEngine, job: str, done: object
) -> None:
    def sample(**asked: object) -> Image.Image:
        answer = call(trainer, "GET", "/extra/sample", params={"finetune_id": job, **asked})
        assert answer.headers["Content-Type"] == "image/png"
        return Image.open(BytesIO(answer.content))

    assert {sample(step=step).size for step in (0, 12, 24)} == {(64, 64)}
    assert np.array_equal(sample(of="control"), picture(1))
    assert np.array_equal(sample(of="target"), np.array(picture(1))[..., ::-1])
    answer = call(trainer, "GET", "/extra/sample", params={"finetune_id": job, "step": 7})
    assert answer.status_code == 404


def test_an_unknown_parameter_is_refused_by_name(trainer: RunningEngine) -> None:
    for wrong, error in (
        ({"ranks": 8}, "'ranks', which is not known"),
        ({"rank": 0}, "rank must be"),
        ({"memory": "huge"}, "memory must be one of: auto, full, int8, small"),
    ):
        fields = body("https://example.com/a.zip", advance_parameters={**TRAINING, **wrong})
        answer = submit(trainer, fields)
        assert answer.status_code == 422
        assert error in answer.json()["error"]


def test_the_metadata_records_the_training(file: Path, done: dict[str, Any]) -> None:
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    versions = json.loads(metadata.pop("versions"))
    assert versions["torch"] == torch.__version__
    assert set(versions) == {"torch", "diffusers", "peft", "transformers"}
    settings = json.loads(metadata.pop("parameters"))
    assert settings.keys() == parameters.KNOWN.keys()
    assert (settings["guidance"], settings["checkpoint_steps"]) == (1.0, 4)
    assert float(metadata.pop("held_out_loss")) > 0
    assert {name: value for name, value in metadata.items() if "." not in name and name[:3] != "ss_"} == {
        "format": "pt",
        "simulated": "false",
        "base_model": "finetune-portal/tiny-kontext",
        "theme": "KONTEXT",
        "name": "hats",
        "rank": "4",
        "alpha": "4",
        "steps": "24",
        "batch_size": "1",
        "learning_rate": "0.01",
        "seed": "0",
        "instance_prompt": WORDS,
        "pairs": "4",
        "dataset_sha256": done["model_information"]["dataset_sha256"],
    }


def test_managers_of_loras_know_the_base_model(file: Path) -> None:
    """Keys of ModelSpec, and of kohya's scripts, which most managers read."""
    with safe_open(file, "pt") as opened:
        metadata = opened.metadata()
    assert metadata["modelspec.sai_model_spec"] == "1.0.0"
    assert metadata["modelspec.architecture"] == "flux-1-dev/lora"
    assert (metadata["modelspec.title"], metadata["modelspec.trigger_phrase"]) == ("hats", WORDS)
    assert datetime.fromisoformat(metadata["modelspec.date"]).tzinfo
    assert metadata["ss_base_model_version"] == "flux_kontext"
    assert metadata["ss_sd_model_name"] == "finetune-portal/tiny-kontext"
    assert (metadata["ss_network_dim"], metadata["ss_network_alpha"]) == ("4", "4")
    assert metadata["ss_resolution"] == metadata["modelspec.resolution"].replace("x", ", ").join("()")


def test_the_file_changes_a_fresh_pipeline_and_not_with_strength_0(file: Path, model: Path) -> None:
    pipe = FluxKontextPipeline.from_pretrained(model)
    pipe.set_progress_bar_config(disable=True)

    def made() -> Any:
        image = pipe(
            image=picture(9),
            prompt=WORDS,
            width=64,
            height=64,
            max_area=64 * 64,
            num_inference_steps=3,
            generator=torch.Generator().manual_seed(1),
            max_sequence_length=24,
            _auto_resize=False,
        ).images[0]
        return np.asarray(image).astype(int)

    plain = made()
    pipe.load_lora_weights(file, adapter_name="own")
    pipe.set_adapters(["own"], [0.0])
    assert np.array_equal(made(), plain)
    pipe.set_adapters(["own"], [1.0])
    changed = made()
    assert np.abs(changed - plain).mean() > 1
    pipe.set_adapters(["own"], [0.5])
    assert 0 < np.abs(made() - plain).mean() < np.abs(changed - plain).mean()
    pipe.unload_lora_weights()
    assert np.array_equal(made(), plain)
