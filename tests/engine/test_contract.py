"""The engine's answers have the keys and the JSON types of the samples in docs/provider-api.md."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.engine.calling import body as submit_body
from tests.engine.calling import call, details, download_url, presigned, reached, started, submit
from tests.running import RunningEngine

SAMPLES = Path(__file__).resolve().parent.parent / "contract"
ADDED = {"model_information"}  # the engine says in the details, too, that it simulates


def sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text(encoding="utf-8"))


def assert_same_shape(answer: dict[str, Any], expected: dict[str, Any]) -> None:
    assert answer.keys() - ADDED == expected.keys() - ADDED
    for key, value in expected.items():
        if isinstance(value, dict) and value:
            assert_same_shape(answer[key], value)
        elif value is not None:
            assert type(answer[key]) is type(value), key


@pytest.fixture(scope="module")
def job(engine: RunningEngine) -> dict[str, Any]:
    return reached(engine, started(engine, "contract"), "AVAILABLE")


def test_submit(engine: RunningEngine) -> None:
    answer = submit(engine, submit_body("http://192.0.2.1/dataset.zip"))
    assert_same_shape(answer.json(), sample("submit.json"))
    assert answer.json()["status"] == "REQUESTED"


def test_details(engine: RunningEngine, job: dict[str, Any]) -> None:
    answer = call(engine, "GET", "/finetune/request/details", json={"request_id": job["id"]}).json()
    assert answer.keys() == {"finetune"}
    assert_same_shape(answer["finetune"], sample("details.json")["finetune"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", job["created_ts"])
    assert job["slug"] == f"{job['id']}-contract"


def test_details_of_a_new_job_have_no_weights_yet(engine: RunningEngine) -> None:
    job_id = started(engine, "slow contract")
    assert details(engine, job_id)["cloud_storage_url"] is None


def test_list_is_a_bare_array(engine: RunningEngine, job: dict[str, Any]) -> None:
    answer = call(engine, "GET", "/finetune/request/list").json()
    item = next(item for item in answer if item["finetune_id"] == job["id"])
    assert_same_shape(item, sample("list.json")[0])
    assert item["model_information"]["simulated"] is True


def test_presigned_url(engine: RunningEngine) -> None:
    answer = presigned(engine, "NAME_OF_THE_FILE")
    assert_same_shape(answer, sample("presigned_url.json"))
    bare, _, query = answer["presigned_url"].partition("?")
    assert bare == answer["s3_url"]
    assert bare.endswith("-NAME_OF_THE_FILE.zip")
    assert query.startswith("X-Amz-Algorithm=")


def test_access_update(engine: RunningEngine, job: dict[str, Any]) -> None:
    fields = {"request_id": job["id"], "segmind_public": "True"}
    answer = call(engine, "PUT", "/finetune/request/access-update", data=fields)
    assert answer.text == (SAMPLES / "access_update.txt").read_text().strip()


def test_download_is_a_bare_url(engine: RunningEngine, job: dict[str, Any]) -> None:
    url = download_url(engine, job["cloud_storage_url"])
    names = [pair.partition("=")[0] for pair in url.partition("?")[2].split("&")]
    expected = (SAMPLES / "download.txt").read_text().strip().partition("?")[2]
    assert names == [pair.partition("=")[0] for pair in expected.split("&")]


def test_credits(engine: RunningEngine) -> None:
    answer = call(engine, "GET", "/v1/get-user-credits").json()
    assert answer.keys() == sample("credits.json").keys()
    assert all(isinstance(value, int | float) for value in answer.values())
