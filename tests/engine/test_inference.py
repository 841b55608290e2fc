"""Running a simulated model, hosting images for it, and who gets a device.

tests/train/test_generate.py runs a real one.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from pathlib import Path
from typing import Any

import pytest
import requests

from finetune_portal.engine.trainers.devices import Devices
from finetune_portal.engine.trainers.families.layouts import LAYOUTS
from finetune_portal.engine.trainers.image_generator import (
    GenerateRequest,
    GeneratorBusyError,
    ImageGenerator,
)
from finetune_portal.engine.trainers.model_folder import BaseModel
from tests.engine.calling import TIMEOUT, call, details, image, reached, started
from tests.running import RunningEngine
from tests.waiting import until

PICTURE = f"data:image/png;base64,{base64.b64encode(image()).decode()}"
FIELDS = {"prompt": "put a hat on", "input_image": PICTURE}
REQUEST = GenerateRequest(Path("lora.safetensors"), 1.0, "put a hat on", image(), 1, 1, 2.5, "PNG")


def run(engine: RunningEngine, slug: str, **fields: Any) -> requests.Response:
    return call(engine, "POST", f"/v1/{slug}", json={**FIELDS, **fields})


def test_a_simulated_model_says_that_nothing_was_learnt(engine: RunningEngine) -> None:
    slug = reached(engine, started(engine), "AVAILABLE")["slug"]
    answer = run(engine, slug)
    assert answer.status_code == 409
    assert answer.json()["error"].startswith("This model was simulated: nothing was learnt")
    assert "run" not in call(engine, "GET", "/extra").json()["can"]


def test_only_a_finished_model_can_be_run(engine: RunningEngine) -> None:
    job_id = started(engine, "hats slow")
    answer = run(engine, details(engine, job_id)["slug"])
    assert answer.status_code == 409
    assert "its training is" in answer.json()["error"]
    assert run(engine, "no-such-model").status_code == 404
    assert call(engine, "GET", "/v1/no-such-model").status_code == 405
    assert requests.post(f"{engine.url}/v1/a", json=FIELDS, timeout=TIMEOUT).status_code == 401


def test_a_hosted_picture_keeps_its_address(engine: RunningEngine) -> None:
    """docs/provider-api.md, 13."""
    answer = call(engine, "POST", "/upload-asset", json={"data_urls": [PICTURE, PICTURE]})
    first, second = answer.json()["file_urls"]
    assert first == second
    assert first.startswith(f"{engine.url}/storage/assets/")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 422),
        ({"data_urls": []}, 422),
        ({"data_urls": "data:image/png;base64,AA=="}, 422),
        ({"data_urls": [PICTURE] * 11}, 422),
        ({"data_urls": ["https://example.com/a.png"]}, 422),
        ({"data_urls": ["data:image/png;base64,AA=="]}, 422),
        ({"data_urls": [{"a": 1}]}, 422),
        ({"data_urls": ["data:image/png;base64," + "A" * 17_000_000]}, 422),
        ({"data_urls": ["data:image/png;base64," + "A" * 21_000_000]}, 413),
    ],
)
def test_an_asset_that_is_no_image_is_refused(
    engine: RunningEngine, fields: dict[str, Any], status: int
) -> None:
    answer = call(engine, "POST", "/upload-asset", json=fields)
    assert answer.status_code == status, answer.text[:200]
    assert answer.json()["error"]


def test_a_picture_that_is_hosted_is_not_decoded_again(engine: RunningEngine) -> None:
    content = b"decoded when it came"
    uri = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    refused = call(engine, "POST", "/upload-asset", json={"data_urls": [uri]})
    assert (refused.status_code, "is not a readable" in refused.text) == (422, True)
    folder = engine.data_dir / "engine" / "storage" / "assets"
    folder.mkdir(exist_ok=True)
    (folder / hashlib.sha256(content).hexdigest()).write_bytes(content)
    assert call(engine, "POST", "/upload-asset", json={"data_urls": [uri]}).status_code == 200


def model(folder: Path) -> BaseModel:
    layout = LAYOUTS["FluxKontextPipeline"]
    return BaseModel(folder, "none", True, layout, layout.variant(0))


def generator(devices: Devices, folder: Path) -> ImageGenerator:
    return ImageGenerator(devices, log=folder / "log.txt", wait_seconds=0.05)


def test_a_picture_does_not_wait_for_ever_for_trainings(tmp_path: Path) -> None:
    devices = Devices(["a"])
    assert devices.take(0) == "a"
    with pytest.raises(GeneratorBusyError, match="Trainings have all"):
        generator(devices, tmp_path).generate(REQUEST, model(tmp_path))


def test_a_training_that_waits_goes_before_a_picture(tmp_path: Path) -> None:
    devices = Devices(["a"])
    with devices.training_waits():
        with pytest.raises(GeneratorBusyError):
            generator(devices, tmp_path).generate(REQUEST, model(tmp_path))
        assert devices.take(0) == "a"
    assert devices.take(0) is None


def test_a_waiting_request_gets_the_device_that_is_given_back() -> None:
    devices = Devices(["a"])
    devices.take(0)
    got: list[str | None] = []
    waiting = threading.Thread(target=lambda: got.append(devices.take(10)))
    waiting.start()
    devices.give_back("a")
    waiting.join()
    assert got == ["a"]


def test_a_child_that_cannot_start_gives_its_device_back(tmp_path: Path) -> None:
    devices = Devices(["a"])
    with pytest.raises(OSError, match="No such file"):
        generator(devices, tmp_path / "nowhere").generate(REQUEST, model(tmp_path))
    assert until(lambda: devices.take(0)) == "a"
