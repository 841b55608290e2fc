"""A script with a personal token trains and runs a model of the engine by the SDK, and sees no key."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image
from segmind import SegmindClient
from segmind.files import Files

from finetune_portal.datasets.sample import make
from tests.e2e.conftest import Portal
from tests.gateway.test_sdk_and_openapi import Person
from tests.train.jobs import until

SUBMIT = {
    "name": "night",
    "instance_prompt": "turn day into night",
    "trigger_word": "TOK",
    "base_model": "FLUX",
    "train_type": "LORA",
    "machine_type": "NVIDIA_H100",
    "theme": "KONTEXT",
    "advance_parameters": {"steps": 2, "learning_rate": 0.005},
}


def test_a_model_of_the_engine_runs_by_its_slug(
    portal: Portal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    token = Person(portal).makes_a_token()
    monkeypatch.setattr(Files, "STORAGE_BASE_URL", portal.url)  # the SDK's own constant
    client = SegmindClient(api_key=token, base_url=f"{portal.url}/v1", timeout=120)
    request.addfinalizer(client._client.close)  # the SDK has no close of its own
    slug = trained(client, portal)

    Image.new("RGB", (48, 32), "teal").save(tmp_path / "day.png")
    fields = {
        "prompt": "turn day into night",
        "input_image": client.files.upload(tmp_path / "day.png")["file_urls"][0],
    }
    job = client.submit_async(slug, **fields, seed=7, num_inference_steps=2)
    result = job.wait(timeout=600)
    assert (result["status"], result["seed"], result["metrics"]["cost"]) == ("COMPLETED", 7, None)
    first = requests.get(result["output"], timeout=30).content
    assert opened(first).size == (48, 32)

    def run() -> bytes | None:
        """A machine that does other things, too, may need longer than the call waits."""
        answer = requests.post(
            f"{portal.url}/v1/{slug}",
            json={**fields, "seed": 7, "num_inference_steps": 2},
            headers={"x-api-key": token, "Idempotency-Key": "the same"},
            timeout=120,
        )
        assert answer.status_code in (200, 202), answer.text
        return answer.content if answer.status_code == 200 else None

    assert opened(until(run)).tobytes() == opened(first).tobytes(), "the same seed makes the same picture"
    key = (portal.data / "engine" / "api-key").read_text().strip()
    assert key not in f"{result} {job.submit_response}"


def trained(client: SegmindClient, portal: Portal) -> str:
    """Train a LoRA with the sample dataset; the slug of its model."""
    finetune = client.finetune
    finetune.base_url = f"{portal.url}/finetune/request"
    urls = finetune.upload_presigned_url("night.zip")
    assert requests.put(urls["presigned_url"], data=make(), timeout=60).ok
    request_id = finetune.submit(data_source_path=urls["s3_url"], **SUBMIT)["finetune_id"]

    def look() -> dict[str, Any] | None:
        job: dict[str, Any] = finetune.details(request_id)["finetune"]
        assert job["status"] != "FAILED", job["error_message"]
        return job if job["status"] == "AVAILABLE" else None

    return str(until(look)["slug"])


def opened(content: bytes) -> Image.Image:
    with Image.open(io.BytesIO(content)) as picture:
        return picture.convert("RGB")
