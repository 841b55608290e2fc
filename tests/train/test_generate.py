"""Images by a finished LoRA: POST /v1/<slug> of an engine that really trains."""

from __future__ import annotations

import base64
import io
import os
import signal
import subprocess
import threading
from typing import Any

import pytest
import requests
from PIL import Image, ImageDraw

from tests.engine.calling import call, details, image, pairs, started, upload, zipped
from tests.running import RunningEngine
from tests.waiting import until

PATIENCE = 240.0
TRAINING = {"learning_rate": 0.01, "steps": 4, "rank": 4, "sample_steps": 10_000}


@pytest.fixture(scope="module")
def engine(trainer: RunningEngine) -> RunningEngine:
    return trainer


@pytest.fixture(scope="module")
def trained(done: dict[str, Any]) -> dict[str, Any]:
    """A finished training of the engine."""
    return done


def train(engine: RunningEngine, **parameters: Any) -> dict[str, Any]:
    source = upload(engine, zipped(pairs()))
    job_id = started(engine, data_source_path=source, advance_parameters={**TRAINING, **parameters})
    return until(lambda: _available(engine, job_id), seconds=PATIENCE)


def _available(engine: RunningEngine, job_id: str) -> dict[str, Any] | None:
    job = details(engine, job_id)
    assert job["status"] != "FAILED", (job["error_message"], engine.log)
    return job if job["status"] == "AVAILABLE" else None


def drawing(size: tuple[int, int] = (48, 32), kind: str = "PNG") -> bytes:
    picture = Image.new("RGB", size, "white")
    ImageDraw.Draw(picture).ellipse((8, 8, 24, 24), fill="crimson")
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


def as_data(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def run(engine: RunningEngine, slug: str, **fields: Any) -> requests.Response:
    defaults = {
        "prompt": "Put a hat on the head",
        "input_image": as_data(drawing()),
        "seed": 7,
        "num_inference_steps": 2,
        **fields,
    }
    wanted = {name: value for name, value in defaults.items() if value is not None}
    return requests.post(f"{engine.url}/v1/{slug}", json=wanted, headers=engine.headers, timeout=PATIENCE)


def generators(engine: RunningEngine) -> list[int]:
    """The processes that have this engine's model in memory."""
    model = engine.environment["KONTEXT_MODEL_DIR"]
    listed = subprocess.run(["ps", "-wweo", "pid,args"], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 1) for line in listed.splitlines()]
    return [int(pid) for pid, words in rows if "trainers.lora.generate" in words and model in words]


def warm(engine: RunningEngine, trained: dict[str, Any]) -> int:
    answer = run(engine, trained["slug"])
    assert answer.status_code == 200, answer.text
    (child,) = generators(engine)
    return child


def test_equal_requests_give_equal_images_and_each_field_counts(
    engine: RunningEngine, trained: dict[str, Any]
) -> None:
    slug = trained["slug"]
    first = run(engine, slug)
    assert (first.status_code, first.headers["Content-Type"]) == (200, "image/png"), first.text
    with Image.open(io.BytesIO(first.content)) as picture:
        assert (picture.format, picture.size) == ("PNG", (48, 32))
    assert run(engine, slug).content == first.content
    base = run(engine, slug, lora_strength=0).content
    others = [
        base,
        run(engine, slug, lora_strength=2.5).content,
        run(engine, slug, seed=8).content,
        run(engine, slug, prompt="blue").content,
        run(engine, slug, guidance=9).content,
        run(engine, slug, num_inference_steps=3).content,
        run(engine, slug, input_image=as_data(image(size=(48, 32)))).content,
    ]
    assert len({first.content, *others}) == len(others) + 1
    assert run(engine, slug, lora_strength=0).content == base
    assert run(engine, slug).content == first.content


def test_strength_0_is_the_base_model_whatever_was_trained(
    engine: RunningEngine, trained: dict[str, Any]
) -> None:
    settings = {**TRAINING, "seed": 3}
    other = started(
        engine, "caps", data_source_path=upload(engine, zipped(pairs())), advance_parameters=settings
    )
    slug = until(lambda: _available(engine, other), seconds=PATIENCE)["slug"]
    assert run(engine, slug).content != run(engine, trained["slug"]).content
    assert run(engine, slug, lora_strength=0).content == run(engine, trained["slug"], lora_strength=0).content


def test_a_picture_comes_as_jpeg_and_from_a_hosted_one(
    engine: RunningEngine, trained: dict[str, Any]
) -> None:
    answer = call(engine, "POST", "/upload-asset", json={"data_urls": [as_data(drawing())]})
    (url,) = answer.json()["file_urls"]
    hosted = run(engine, trained["slug"], input_image=url)
    assert hosted.content == run(engine, trained["slug"]).content
    jpeg = run(engine, trained["slug"], output_format="jpg")
    assert jpeg.headers["Content-Type"] == "image/jpeg"
    assert jpeg.content.startswith(b"\xff\xd8")
    assert requests.get(url, timeout=30).status_code == 403


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"prompt": None}, 422, "prompt is missing."),
        ({"input_image": None}, 422, "input_image is missing."),
        ({"input_image": as_data(b"GIF89a")}, 422, "not a readable JPEG, PNG or WebP"),
        ({"input_image": "data:image/png;base64,!!"}, 422, "base64"),
        ({"input_image": "http://127.0.0.1:9/a.png"}, 422, "not a public one"),
        ({"input_image": "http://here/storage/assets/" + "0" * 64}, 422, "not hosted here any more"),
        ({"input_image": "file:///etc/passwd"}, 422, "not a plain http or https URL"),
        ({"input_image": as_data(drawing()[:-40])}, 422, "damaged"),
        ({"lora_strength": 11}, 422, "lora_strength must be from -10 to 10."),
        ({"lora_strength": "much"}, 422, "lora_strength must be a number."),
        ({"seed": 1.5}, 422, "seed must be a whole number."),
        ({"num_inference_steps": 0}, 422, "num_inference_steps must be from 1 to 100."),
        ({"aspect_ratio": "16:9"}, 422, "aspect_ratio must be match_input_image"),
        ({"output_format": "tiff"}, 422, "output_format must be one of"),
    ],
)
def test_a_bad_request_is_refused_in_a_sentence(
    engine: RunningEngine, trained: dict[str, Any], fields: dict[str, Any], status: int, error: str
) -> None:
    answer = run(engine, trained["slug"], **fields)
    assert (answer.status_code, error in answer.json()["error"]) == (status, True), answer.text


def test_only_a_whole_slug_names_a_model(engine: RunningEngine, trained: dict[str, Any]) -> None:
    for slug in (trained["id"], trained["slug"] + "x", "nothing", "0" * 36):
        answer = run(engine, slug)
        assert (answer.status_code, answer.json()["error"]) == (404, "There is no model at this address.")
    assert "run" in call(engine, "GET", "/extra").json()["can"]


def test_a_killed_generator_is_reported_and_replaced(engine: RunningEngine, trained: dict[str, Any]) -> None:
    child = warm(engine, trained)
    answers: list[requests.Response] = []
    busy = threading.Thread(
        target=lambda: answers.append(run(engine, trained["slug"], num_inference_steps=100))
    )
    busy.start()
    os.kill(child, signal.SIGKILL)
    busy.join()
    assert answers[0].status_code in (200, 500)  # it may have died before the request came
    if answers[0].status_code == 500:
        assert "came to an end" in answers[0].json()["error"]
    assert run(engine, trained["slug"]).status_code == 200
    assert generators(engine) != [child]


def test_a_training_takes_the_device_of_an_idle_generator(
    engine: RunningEngine, trained: dict[str, Any]
) -> None:
    child = warm(engine, trained)
    train(engine)
    assert child not in generators(engine)


def test_the_generator_ends_with_the_engine(engine: RunningEngine, trained: dict[str, Any]) -> None:
    warm(engine, trained)
    engine.kill()
    until(lambda: not generators(engine), seconds=30)
    engine.start()
    assert run(engine, trained["slug"]).status_code == 200
