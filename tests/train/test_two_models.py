"""An engine with two base models offers both, and trains and runs the one that a request names."""

from __future__ import annotations

import base64
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import requests
from safetensors.torch import load, save

from finetune_portal.engine.trainers import model_folder
from finetune_portal.engine.trainers.devices import CPU, Devices
from finetune_portal.engine.trainers.image_generator import (
    GenerateRequest,
    GeneratorBusyError,
    ImageGenerator,
)
from tests.engine.calling import body, call, submit
from tests.running import RunningEngine, start_engine
from tests.train.conftest import ONE_CORE
from tests.train.jobs import begun, ended, progress, until, weights
from tests.train.training import WORDS, picture, png, turned_colours

KLEIN = {"base_model": "flux-2-klein", "theme": None}
NUMBERS = {"steps": 2, "learning_rate": 0.01}


@pytest.fixture(scope="module")
def engine(
    model: Path, klein: Path, qwen: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningEngine]:
    own = {"KONTEXT_MODEL_DIR": str(model), "MODEL_DIRS": f"{klein},{qwen}"}
    with start_engine(tmp_path_factory.mktemp("engine"), **own, **ONE_CORE) as running:
        yield running


def test_each_is_offered_with_its_parameters(engine: RunningEngine) -> None:
    kontext, klein, qwen = call(engine, "GET", "/extra").json()["trainers"]
    assert [(each["id"], each["most_inputs"]) for each in (kontext, klein, qwen)] == [
        ("flux-kontext", 1),
        ("flux-2-klein", 4),
        ("qwen-image-edit-plus", 3),
    ]
    assert kontext["parameters"].keys() - klein["parameters"].keys() == {"guidance", "modulation"}
    assert kontext["parameters"].keys() - qwen["parameters"].keys() == {"guidance"}
    assert (kontext["parameters"]["modulation"], qwen["parameters"]["modulation"]) == (True, False)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"base_model": "QWEN"}, "base_model must be FLUX, or flux-2-klein, or qwen-image-edit-plus."),
        ({**KLEIN, "advance_parameters": {**NUMBERS, "guidance": 2}}, "'guidance', which is not known"),
        ({**KLEIN, "advance_parameters": {**NUMBERS, "resolution": 1040}}, "a number from 0 to 1024."),
    ],
)
def test_what_the_base_model_does_not_take_is_refused(
    engine: RunningEngine, fields: dict[str, object], says: str
) -> None:
    answer = submit(engine, body("https://example.com/a.zip", **fields))
    assert answer.status_code == 422
    assert says in answer.json()["error"]


def test_klein_trains_several_inputs_and_runs(engine: RunningEngine) -> None:
    further = {f"0{number}_start2.png": png(picture(number, (96, 64))) for number in (1, 2, 3)}
    files = turned_colours(3) | further
    job = begun(engine, files, fields=KLEIN, steps=2, checkpoint_steps=2, sample_steps=1000)
    details = ended(engine, job)
    assert details["base_model"] == details["model_information"]["trainer"] == "flux-2-klein"
    assert len(progress(engine, job)["loss"]) == 2
    assert any("to_qkv_mlp_proj" in name for name in load(weights(engine, details)))
    (file,) = (engine.data_dir / "engine/storage/finetune/finetuned_models" / job).iterdir()
    content = file.read_bytes()
    file.write_bytes(save({name: each.repeat(2, 2) for name, each in load(content).items()}))
    image = f"data:image/png;base64,{base64.b64encode(png(picture(1))).decode()}"
    request = {"prompt": WORDS, "input_image": image, "num_inference_steps": 2}

    def run() -> tuple[requests.Response] | None:
        """A machine that does other things, too, may need longer to load the model than a call waits."""
        url = f"{engine.url}/v1/{details['slug']}"
        answer = requests.post(url, json=request, headers=engine.headers, timeout=300)
        return None if answer.status_code == 503 else (answer,)

    (answer,) = until(run)
    assert "does not fit the base model" in answer.json()["error"], answer.text[:200]
    file.write_bytes(content)
    (answer,) = until(run)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png"), answer.text[:200]
    with closing(sqlite3.connect(engine.data_dir / "engine" / "engine.sqlite3")) as database, database:
        database.execute("UPDATE engine_job SET base_model = '' WHERE name = ?", [details["name"]])
    (answer,) = until(run)
    assert "was trained on finetune-portal/tiny-klein (flux-kontext), but" in answer.json()["error"]
    with closing(sqlite3.connect(engine.data_dir / "engine" / "engine.sqlite3")) as database, database:
        database.execute(
            "UPDATE engine_job SET base_model = 'qwen-image-edit-plus', trained_by = "
            "json_set(trained_by, '$.base_model', 'finetune-portal/tiny-qwen-image-edit') WHERE name = ?",
            [details["name"]],
        )
    request["num_inference_steps"] = 1
    (answer,) = until(run)
    assert answer.json()["error"] == "num_inference_steps must be from 2 to 100."


def test_kontext_refuses_them(engine: RunningEngine) -> None:
    """It is named by its id as well as in the vendor's words."""
    files = turned_colours(1) | {"01_start2.png": png(picture(9))}
    fields = {"base_model": "flux-kontext", "theme": None}
    failed = ended(engine, begun(engine, files, fields=fields), "FAILED")
    assert failed["base_model"] == "FLUX"
    assert "01_start2.png is a further input image of a pair" in failed["error_message"]


def test_a_model_that_is_being_loaded_is_not_ended_for_another(
    model: Path, klein: Path, tmp_path: Path
) -> None:
    """Requests for two of them in turn would end each before it has made an image."""
    generator = ImageGenerator(Devices([CPU]), log=tmp_path / "log.txt", generate_seconds=0.0)
    request = GenerateRequest(tmp_path / "lora.safetensors", 1.0, WORDS, png(picture(1)), 1, 1, 2.5, "PNG")
    try:
        with pytest.raises(GeneratorBusyError, match="The model is still being loaded"):
            generator.generate(request, model_folder.inspect(model))
        with pytest.raises(GeneratorBusyError, match="Another model is still being loaded"):
            generator.generate(request, model_folder.inspect(klein))
    finally:
        generator.release_device()
