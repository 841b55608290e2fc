"""The vendor's own Python SDK against the engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from segmind import SegmindClient
from segmind.finetune import Finetune
from segmind.webhooks import Webhooks

from tests.conftest import StartEngine
from tests.engine.calling import pairs, reached, zipped
from tests.running import RunningEngine


@pytest.fixture
def client(engine: RunningEngine) -> Iterator[SegmindClient]:
    client = SegmindClient(api_key=engine.key)
    yield client
    client._client.close()  # the SDK has no close of its own


def finetune_of(client: SegmindClient, engine: RunningEngine) -> Finetune:
    """The SDK's namespace, its base URL pointed at the engine."""
    finetune = client.finetune
    finetune.base_url = f"{engine.url}/finetune/request"
    return finetune


def test_the_six_calls(client: SegmindClient, engine: RunningEngine) -> None:
    finetune = finetune_of(client, engine)
    urls = finetune.upload_presigned_url("my-dataset.zip")
    assert urls["s3_url"].endswith("-my-dataset.zip")
    assert requests.put(urls["presigned_url"], data=zipped(pairs()), timeout=30).status_code == 200

    answer = finetune.submit(
        name="sdk",
        data_source_path=urls["s3_url"],
        instance_prompt="Put a hat on",
        trigger_word="TOK",  # the SDK always sends one
        base_model="FLUX",
        train_type="LORA",
        machine_type="NVIDIA_H100",
        theme="KONTEXT",
        advance_parameters={"steps": 20, "learning_rate": 0.0004},
    )
    job_id = answer["finetune_id"]
    assert job_id in [item["finetune_id"] for item in finetune.list()]

    reached(engine, job_id, "AVAILABLE")
    assert finetune.access_update(job_id, True) == 200
    job = finetune.details(job_id)["finetune"]
    assert job["public_model"] is True

    weights = requests.get(finetune.file_download(job["cloud_storage_url"]), timeout=30)
    assert weights.headers["Content-Length"] == str(len(weights.content))


def test_the_webhook_calls(engines: StartEngine) -> None:
    engine = engines()
    client = SegmindClient(api_key=engine.key)
    webhooks: Webhooks = client.webhooks
    webhooks.base_url = f"{engine.url}/webhook"
    assert webhooks.get() == {"webhooks": []}
    webhook_id = webhooks.add("http://127.0.0.1:9/first", ["FINETUNE"])["webhook_id"]
    webhooks.update(webhook_id, "http://127.0.0.1:9/second", ["FINETUNE", "PIXELFLOW"])
    assert webhooks.get()["webhooks"][0]["webhook_url"].endswith("/second")
    assert webhooks.logs(webhook_id) == {"logs": []}
    assert webhooks.delete(webhook_id)["is_active"] is False
    assert webhooks.get() == {"webhooks": []}
    client._client.close()
