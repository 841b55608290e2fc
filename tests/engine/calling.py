"""What the engine's tests share: small datasets, the calls a client makes, and waiting for a state."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any, TypeVar

import requests
from PIL import Image

from tests.running import RunningEngine
from tests.waiting import until

T = TypeVar("T")
TIMEOUT = 60
EVENTS = [  # what a job without trouble sends to a webhook
    "DATA_PROCESSING",
    "TRAINING_INITIATED",
    "TRAINING_COMPLETED",
    "INFERENCE_QUEUED",
    "DEPLOYING",
    "AVAILABLE",
]


def image(kind: str = "PNG", size: tuple[int, int] = (24, 32)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "teal").save(file, kind)
    return file.getvalue()


def zipped(files: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def pairs(count: int = 2, *, caption: bytes | None = b"put a hat on") -> dict[str, bytes]:
    files = {}
    for number in range(1, count + 1):
        files[f"{number:02}_start.png"] = image()
        files[f"{number:02}_end.png"] = image()
        if caption is not None:
            files[f"{number:02}.txt"] = caption
    return files


def call(engine: RunningEngine, method: str, path: str, **options: Any) -> requests.Response:
    headers = engine.headers | options.pop("headers", {})
    return requests.request(method, engine.url + path, headers=headers, timeout=TIMEOUT, **options)


def presigned(engine: RunningEngine, name: str = "hats.zip") -> dict[str, str]:
    answer = call(engine, "GET", "/finetune/request/upload/pre-signed-url", json={"name": name})
    assert answer.status_code == 200, answer.text
    return answer.json()


def upload(engine: RunningEngine, content: bytes | None = None) -> str:
    """Put a dataset into the storage; return its s3_url."""
    urls = presigned(engine)
    body = zipped(pairs()) if content is None else content
    answer = requests.put(urls["presigned_url"], data=body, timeout=TIMEOUT)
    assert answer.status_code == 200, answer.text
    return urls["s3_url"]


def body(data_source_path: str, name: str = "hats", **changes: Any) -> dict[str, Any]:
    """The body of a submit as in docs/provider-api.md, 1; a change to None leaves the field out."""
    fields = {
        "name": name,
        "data_source_path": data_source_path,
        "instance_prompt": "Put a hat on the head",
        "base_model": "FLUX",
        "train_type": "LORA",
        "machine_type": "NVIDIA_H100",
        "theme": "KONTEXT",
        "segmind_public": False,
        "advance_parameters": {"learning_rate": 0.0004, "steps": 300},
        **changes,
    }
    return {field: value for field, value in fields.items() if value is not None}


def submit(engine: RunningEngine, fields: dict[str, Any]) -> requests.Response:
    return call(engine, "POST", "/finetune/request/submit", json=fields)


def started(engine: RunningEngine, name: str = "hats", **changes: Any) -> str:
    """Upload a dataset and start a job; return its id."""
    answer = submit(engine, body(changes.pop("data_source_path", None) or upload(engine), name, **changes))
    assert answer.status_code == 200, answer.text
    return str(answer.json()["finetune_id"])


def details(engine: RunningEngine, job_id: str) -> dict[str, Any]:
    answer = call(engine, "GET", "/finetune/request/details", json={"request_id": job_id})
    assert answer.status_code == 200, answer.text
    return answer.json()["finetune"]


def reached(engine: RunningEngine, job_id: str, state: str) -> dict[str, Any]:
    """The details of the job once it is in this state."""

    def look() -> dict[str, Any] | None:
        job = details(engine, job_id)
        if job["status"] == "FAILED" and state != "FAILED":
            raise AssertionError(f"The job failed: {job['error_message']}")
        return job if job["status"] == state else None

    return until(look)


def download_url(engine: RunningEngine, cloud_storage_url: str) -> str:
    asked = {"cloud_storage_url": cloud_storage_url}
    answer = call(engine, "GET", "/finetune/request/file/download", params=asked)
    assert answer.status_code == 200, answer.text
    return answer.text
