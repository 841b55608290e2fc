"""Every encoding a client may send, and every refusal, over a socket."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import requests

from tests.conftest import StartEngine
from tests.engine.calling import TIMEOUT, body, call, details, started, submit, upload
from tests.running import RunningEngine

NOWHERE = "http://192.0.2.1/dataset.zip"  # an address for documentation: nobody answers there
ENDPOINTS = {
    "/finetune/request/submit": "POST",
    "/finetune/request/details": "GET",
    "/finetune/request/list": "GET",
    "/finetune/request/upload/pre-signed-url": "GET",
    "/finetune/request/access-update": "PUT",
    "/finetune/request/file/download": "GET",
    "/v1/get-user-credits": "GET",
    "/webhook/get": "GET",
    "/webhook/add": "POST",
}


@pytest.mark.parametrize("path", ENDPOINTS)
@pytest.mark.parametrize("headers", [{}, {"x-api-key": "wrong"}, {"x-api-key": ""}])
def test_without_the_key_nothing_answers(engine: RunningEngine, path: str, headers: dict[str, str]) -> None:
    answer = requests.request(ENDPOINTS[path], engine.url + path, headers=headers, timeout=TIMEOUT)
    assert answer.status_code == 401
    assert "API key" in answer.json()["error"]


@pytest.mark.parametrize("path", ENDPOINTS)
def test_another_method_is_refused_as_json(engine: RunningEngine, path: str) -> None:
    answer = call(engine, "DELETE", path)
    assert answer.status_code == 405
    assert ENDPOINTS[path] in answer.headers["Allow"]
    assert answer.json()["error"]


def test_an_unknown_address_is_refused_as_json(engine: RunningEngine) -> None:
    answer = call(engine, "GET", "/finetune/request/cancel")
    assert answer.status_code == 404
    assert answer.json()["error"]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("encoding", ["json", "files", "data", "params"])
def test_details_in_every_encoding(engine: RunningEngine, method: str, encoding: str) -> None:
    job_id = started(engine, "never-deploys", data_source_path=NOWHERE)
    fields: Any = {"request_id": (None, job_id)} if encoding == "files" else {"request_id": job_id}
    answer = call(engine, method, "/finetune/request/details", **{encoding: fields})
    assert answer.json()["finetune"]["id"] == job_id


@pytest.mark.parametrize("encoding", ["json", "files", "data", "params"])
@pytest.mark.parametrize(("said", "meant"), [("True", True), ("false", False), ("1", True)])
def test_access_update_in_every_encoding(
    engine: RunningEngine, encoding: str, said: str, meant: bool
) -> None:
    job_id = started(engine, data_source_path=NOWHERE, segmind_public=not meant)
    fields: Any = {"request_id": job_id, "segmind_public": said}
    if encoding == "files":
        fields = {name: (None, value) for name, value in fields.items()}
    assert call(engine, "PUT", "/finetune/request/access-update", **{encoding: fields}).text == "200"
    assert details(engine, job_id)["public_model"] is meant


def test_submit_as_a_form_with_numbers_as_text(engine: RunningEngine) -> None:
    fields = body(NOWHERE, "form", segmind_public="True")
    fields["advance_parameters"] = json.dumps({"steps": "40", "learning_rate": "0.0002"})
    job_id = call(engine, "POST", "/finetune/request/submit", data=fields).json()["finetune_id"]
    items = call(engine, "GET", "/finetune/request/list").json()
    item = next(item for item in items if item["id"] == job_id)
    assert item["advance_parameters"]["steps"] == 40
    assert item["advance_parameters"]["learning_rate"] == 0.0002
    assert item["segmind_public_model"] is True


def test_a_json_body_needs_no_content_type(engine: RunningEngine) -> None:
    job_id = started(engine, data_source_path=NOWHERE)
    fields = json.dumps({"request_id": job_id})
    answer = call(engine, "GET", "/finetune/request/details", data=fields)
    assert answer.json()["finetune"]["id"] == job_id


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": None}, "name is missing"),
        ({"name": "   "}, "name is empty"),
        ({"name": ["a"]}, "name must be text"),
        ({"name": "a" * 201}, "name must be 200 characters"),
        ({"name": "nul\x00"}, "name must be text"),
        ({"data_source_path": ""}, "data_source_path is missing"),
        ({"data_source_path": "ftp://example.com/a.zip"}, "data_source_path must be an http"),
        ({"data_source_path": "http://[::1/a.zip"}, "data_source_path must be an http"),
        ({"data_source_path": "https://"}, "data_source_path must be an http"),
        ({"data_source_path": "http://a b/c.zip"}, "data_source_path must be an http"),
        ({"instance_prompt": 7}, "instance_prompt must be text"),
        ({"machine_type": "NVIDIA_A100_40GB"}, "machine_type must be NVIDIA_H100"),
        ({"base_model": "QWEN"}, "base_model must be FLUX"),
        ({"train_type": None}, "train_type is missing"),
        ({"theme": "FLUX"}, "theme must be KONTEXT"),
        ({"segmind_public": "perhaps"}, "segmind_public must be true or false"),
        ({"advance_parameters": "{"}, "advance_parameters must be an object"),
        ({"advance_parameters": [1]}, "advance_parameters must be an object"),
        ({"advance_parameters": {"steps": 0}}, "steps must be a whole number"),
        ({"advance_parameters": {"steps": 20_001}}, "steps must be a whole number"),
        ({"advance_parameters": {"steps": 1.5}}, "steps must be a whole number"),
        ({"advance_parameters": {"steps": True}}, "steps must be a number"),
        ({"advance_parameters": {"steps": "many"}}, "steps must be a number"),
        ({"advance_parameters": {"learning_rate": 0}}, "learning_rate must be above 0"),
        ({"advance_parameters": {"learning_rate": 1.1}}, "learning_rate must be above 0"),
        ({"advance_parameters": {"learning_rate": "nan"}}, "learning_rate must be above 0"),
    ],
)
def test_a_bad_submit_names_its_field(engine: RunningEngine, changes: dict[str, Any], says: str) -> None:
    answer = submit(
        engine, body(NOWHERE) | changes if None not in changes.values() else body(NOWHERE, **changes)
    )
    assert answer.status_code == 422
    assert says in answer.json()["error"]


@pytest.mark.parametrize("steps", ["NaN", "Infinity", "-Infinity", "1e400", "1" + "0" * 400])
def test_numbers_that_json_should_not_hold(engine: RunningEngine, steps: str) -> None:
    text = json.dumps(body(NOWHERE)).replace(": 300", f": {steps}")
    headers = {"Content-Type": "application/json"}
    answer = call(engine, "POST", "/finetune/request/submit", data=text, headers=headers)
    assert answer.status_code == 422
    assert "steps" in answer.json()["error"]


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"[]", "application/json", 422),
        (b"--x", "multipart/form-data; boundary=x", 422),
        (b"--x", "multipart/form-data", 400),
        (b"a" * 1_100_000, "application/json", 413),
        (b"&".join(b"a%d=1" % number for number in range(2000)), "application/x-www-form-urlencoded", 400),
    ],
)
def test_a_body_that_cannot_be_read(engine: RunningEngine, content: bytes, kind: str, status: int) -> None:
    headers = {"Content-Type": kind}
    answer = call(engine, "POST", "/finetune/request/submit", data=content, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]


def test_what_is_tolerated(engine: RunningEngine) -> None:
    fields = body(NOWHERE, theme="kontext", trigger_word="TOK", instance_prompt=None, colour="red")
    assert submit(engine, fields).status_code == 200
    assert submit(engine, body(NOWHERE, advance_parameters=None)).status_code == 200


def test_unknown_things(engine: RunningEngine) -> None:
    for asked in ("nonsense", "00000000-0000-0000-0000-000000000000"):
        answer = call(engine, "GET", "/finetune/request/details", json={"request_id": asked})
        assert answer.status_code == 404
    assert call(engine, "GET", "/finetune/request/details").status_code == 422
    for url in (NOWHERE, upload(engine), "http://[", f"{engine.url}/storage/../../etc/passwd"):
        fields = {"cloud_storage_url": url}
        assert call(engine, "GET", "/finetune/request/file/download", data=fields).status_code == 404


def test_a_training_is_paid_for(engines: StartEngine) -> None:
    engine = engines(ENGINE_CREDITS="1")

    def credits() -> float:
        return float(call(engine, "GET", "/v1/get-user-credits").json()["credits"])

    assert credits() == 1
    answer = submit(engine, body(NOWHERE))
    assert answer.headers["x-remaining-credits"] == "0.25"
    assert math.isclose(credits(), 0.25)
    refused = submit(engine, body(NOWHERE))
    assert (refused.status_code, refused.json()) == (406, {"error": "Insufficient credits"})
    assert math.isclose(credits(), 0.25)
    assert len(call(engine, "GET", "/finetune/request/list").json()) == 1


def test_the_front_page_says_what_this_is(engine: RunningEngine) -> None:
    page = requests.get(engine.url, timeout=TIMEOUT)
    assert page.status_code == 200
    assert "simulates" in page.text
    assert "never-deploys" in page.text
    assert engine.key not in page.text
    assert requests.head(f"{engine.url}/healthz", timeout=TIMEOUT).status_code == 200
