"""fal's own clients, unchanged, take the fake for fal: Python's over TLS, JavaScript's by its proxy."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.fal.calls import KLEIN, KONTEXT, packed
from tests.fal.server import KEY, FakeFal
from tests.fal.switches import Failure
from tests.programs import missing, needed
from tests.provider.client_process import CallError, ClientProcess

FOLDER = Path(__file__).parent
CERTIFICATE = FOLDER / "hosts.pem"
MIB = 1 << 20
UNKNOWN_ID = "00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def running() -> Iterator[FakeFal]:
    with FakeFal(CERTIFICATE) as fake:
        yield fake


@pytest.fixture
def fal(running: FakeFal) -> FakeFal:
    """The one that runs, without what earlier tests left."""
    running.clear()
    return running


def python(fal: FakeFal) -> ClientProcess:
    environment = {"FAL_KEY": KEY, "HTTPS_PROXY": fal.proxy_url, "SSL_CERT_FILE": str(CERTIFICATE)}
    return ClientProcess.start(sys.executable, "-m", "tests.fal.python_client", **environment)


def javascript(fal: FakeFal) -> ClientProcess:
    node = needed("node")
    if not (FOLDER / "js/node_modules/@fal-ai/client").is_dir():
        missing("@fal-ai/client is not installed (npm ci in tests/fal/js)")
    environment = {"FAL_KEY": KEY, "FAL_PROXY": f"{fal.proxy_url}/proxy"}
    return ClientProcess.start(node, str(FOLDER / "js/client.mjs"), **environment)


@pytest.fixture(scope="module", params=[python, javascript], ids=["python", "javascript"])
def client(request: pytest.FixtureRequest, running: FakeFal) -> Iterator[ClientProcess]:
    started = request.param(running)
    with started.process:
        yield started
        started.process.stdin.close()


def training(client: ClientProcess) -> dict[str, Any]:
    return {"image_data_url": client.upload(packed()), "steps": 500}


def test_a_training_from_upload_to_weights(fal: FakeFal, client: ClientProcess) -> None:
    made = client("subscribe", endpoint=KLEIN, input=training(client))
    assert made["states"] == ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
    assert made["data"]["diffusers_lora_file"]["file_name"] == "pytorch_lora_weights.safetensors"
    assert len(fal.jobs) == len(fal.sent("submit")) == 1
    assert fal.jobs[0].inputs == 1


def test_status_with_logs_then_result(fal: FakeFal, client: ClientProcess) -> None:
    job_id = client("submit", endpoint=KONTEXT, input=training(client), webhook="http://127.0.0.1:9/hook")
    assert fal.jobs[0].webhook == "http://127.0.0.1:9/hook"
    job = {"endpoint": KONTEXT, "id": job_id}
    queued = client("status", **job)
    assert (queued["status"], queued["position"]) == ("IN_QUEUE", 0)
    assert client("status", **job)["logs"] == list(fal.log_lines)
    assert client("stream", **job)[-1] == "COMPLETED"
    assert "config_file" in client("result", **job)


def test_cancel_and_too_late(fal: FakeFal, client: ClientProcess) -> None:
    job = {"endpoint": KLEIN, "id": client("submit", endpoint=KLEIN, input=training(client))}
    client("cancel", **job)
    assert client("status", **job)["error"]
    with pytest.raises(CallError) as late:
        client("cancel", **job)
    assert late.value.status == 400
    with pytest.raises(CallError) as cancelled:
        client("result", **job)
    assert cancelled.value.status == 499


def test_errors_are_those_that_the_clients_read(fal: FakeFal, client: ClientProcess) -> None:
    job = {"endpoint": KLEIN, "id": client("submit", endpoint=KLEIN, input={"steps": 1})}
    fal.finish(fal.jobs[0])
    with pytest.raises(CallError) as invalid:
        client("result", **job)
    assert invalid.value.status == 422
    assert [each["type"] for each in invalid.value.detail] == ["missing", "greater_than_equal"]
    fal.failure = Failure()
    job["id"] = client("submit", endpoint=KLEIN, input=training(client))
    fal.finish(fal.jobs[1])
    with pytest.raises(CallError) as broken:
        client("result", **job)
    assert (broken.value.status, broken.value.detail) == (500, "The runner disconnected.")
    with pytest.raises(CallError) as unknown:
        client("status", endpoint=KLEIN, id=UNKNOWN_ID)
    assert unknown.value.status == 404
    fal.locked_on = {"submit"}
    with pytest.raises(CallError) as locked:
        client("submit", endpoint=KLEIN, input={})
    assert (locked.value.status, locked.value.detail) == (403, fal.locked_reason)
    fal.key = "another:key"
    with pytest.raises(CallError) as bad_key:
        client("status", **job)
    assert bad_key.value.status == 401
    fal.key = KEY
    assert len(fal.jobs) == 2


def test_unknown_fields_disturb_neither(fal: FakeFal, client: ClientProcess) -> None:
    fal.has_unknown_fields = True
    assert client("subscribe", endpoint=KONTEXT, input=training(client))["states"][-1] == "COMPLETED"


def test_the_bytes_that_were_uploaded_lie_at_the_address(fal: FakeFal, client: ClientProcess) -> None:
    content = os.urandom(MIB)
    address = client.upload(content)
    (path,) = fal.files.stored
    assert address.endswith(path)
    assert fal.files.stored[path].content == content
    assert not any("authorization" in each.headers for each in fal.sent("put"))


def test_the_port_speaks_tls_without_a_proxy_too(fal: FakeFal) -> None:
    models = requests.get(f"{fal.api_url}/models", verify=str(CERTIFICATE), timeout=10).json()["models"]
    assert fal.api_url.startswith("https://127.0.0.1:")
    assert KONTEXT in {each["endpoint_id"] for each in models}


def test_the_python_client_uploads_by_an_address_too(fal: FakeFal) -> None:
    client = python(fal)
    with client.process:
        client.upload(packed(), repository="fal")
        assert client.process.stdin
        client.process.stdin.close()
    assert [each.content for each in fal.files.stored.values()] == [packed()]
    assert {each.rpartition(":")[0] for each in fal.tunnels} == {"rest.fal.ai", "v3b.fal.media"}


@pytest.mark.slow
def test_a_large_file_is_uploaded_in_parts(fal: FakeFal, client: ClientProcess) -> None:
    block = os.urandom(MIB)
    client.upload(block, 101)
    (file,) = fal.files.stored.values()
    assert hashlib.sha256(file.content).digest() == hashlib.sha256(block * 101).digest()
    assert len(fal.sent("part")) == 11
