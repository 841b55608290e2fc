"""Scripts that know only the vendor's API, against the whole running portal: web, worker and engine."""

from __future__ import annotations

import io
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from safetensors.numpy import load
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from segmind import SegmindClient as VendorsClient
from segmind.exceptions import SegmindError as VendorsError

from finetune_portal.datasets.sample import make
from finetune_portal.gateway.openapi import document
from finetune_portal.providers.errors import ServerError, UnauthorizedError
from finetune_portal.providers.segmind import SegmindClient, SubmitRequest
from tests.e2e.conftest import EMAIL, PASSWORD, Portal
from tests.examples import are_many, examples
from tests.programs import needed
from tests.traces import contents_below
from tests.waiting import until

LINES = Path(__file__).resolve().parent.parent / "contract" / "curl"
TOKEN = re.compile(r"ftp_[A-Za-z0-9]{32}[0-9a-f]{8}")
CSRF = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')
ZIP = make()


class Person:
    """Someone at a browser without scripts."""

    def __init__(self, portal: Portal) -> None:
        self.url, self.session = portal.url, requests.Session()
        self.post("/login/", {"username": EMAIL, "password": PASSWORD})

    def get(self, path: str) -> str:
        return self.session.get(self.url + path, timeout=30).text

    def post(self, path: str, fields: dict[str, Any]) -> str:
        token = CSRF.search(self.get(path))
        assert token
        answer = self.session.post(self.url + path, {**fields, "csrfmiddlewaretoken": token[1]}, timeout=30)
        assert answer.ok, answer.text
        return answer.text

    def makes_a_token(self) -> str:
        fields = {"name": "script", "rights": ["train", "publish", "download", "run"], "days": "90"}
        match = TOKEN.search(self.post("/tokens/", fields))
        assert match
        return match[0]


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    running = Portal(tmp_path_factory.mktemp("gateway") / "data")
    try:
        running.start(
            PORTAL_TOKEN_CALLS="100000", PORTAL_ACCESS_LOG="yes", ENGINE_TIME_SCALE="0.02", WEB_WORKERS="1"
        )
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def person(portal: Portal) -> Person:
    return Person(portal)


@pytest.fixture(scope="module")
def token(person: Person) -> str:
    return person.makes_a_token()


@pytest.fixture(scope="module")
def ours(portal: Portal, token: str) -> Iterator[SegmindClient]:
    client = SegmindClient(portal.url, token)
    yield client
    client.close()


def is_available(client: SegmindClient, request_id: str) -> bool:
    training = client.details(request_id)
    assert training.status != "FAILED", training.error_message
    return training.status == "AVAILABLE" and bool(training.cloud_storage_url)


def known_credits(client: SegmindClient) -> float | None:
    """The balance; None while the portal answers 503, as nobody has asked for it yet."""
    try:
        return client.credits().credits
    except ServerError:
        return None


@pytest.mark.long
def test_the_vendors_sdk_makes_its_six_calls(portal: Portal, token: str, ours: SegmindClient) -> None:
    client = VendorsClient(api_key=token)
    finetune = client.finetune
    finetune.base_url = f"{portal.url}/finetune/request"
    urls = finetune.upload_presigned_url("my-dataset.zip")
    assert requests.put(urls["presigned_url"], data=ZIP, timeout=30).status_code == 200
    fields = {
        "name": "sdk",
        "data_source_path": urls["s3_url"],
        "instance_prompt": "turn day into night",
        "trigger_word": "TOK",
        "base_model": "FLUX",
        "train_type": "LORA",
        "machine_type": "NVIDIA_H100",
        "theme": "KONTEXT",
        "advance_parameters": {"steps": 20, "learning_rate": 0.0004},
    }
    request_id = finetune.submit(**fields)["finetune_id"]
    assert request_id in [item["finetune_id"] for item in finetune.list()]

    until(lambda: is_available(ours, request_id))
    assert finetune.access_update(request_id, True) == 200
    job = finetune.details(request_id)["finetune"]
    assert (job["public_model"], job["name"]) == (True, "sdk")
    weights = requests.get(finetune.file_download(job["cloud_storage_url"]), timeout=30)
    assert load(weights.content)
    with pytest.raises(VendorsError, match="steps: Enter at least 1 step."):
        finetune.submit(**{**fields, "advance_parameters": {"steps": 0, "learning_rate": 0.0004}})
    client._client.close()  # the SDK has no close of its own


def test_the_command_lines_of_the_page_run_as_they_stand(
    portal: Portal, token: str, ours: SegmindClient, tmp_path: Path
) -> None:
    needed("curl")
    (tmp_path / ".curlrc").write_text("silent\nshow-error\nfail-with-body\nmax-time = 20\n")

    def run(name: str, **words: str) -> str:
        line = (LINES / f"{name}.sh").read_text(encoding="utf-8")
        words |= {"https://api.segmind.com": portal.url, "YOUR_API_KEY": token}
        for word, value in words.items():
            line = line.replace(word, value)
        done = subprocess.run(
            ["sh", "-c", line], capture_output=True, text=True, timeout=30, env={"CURL_HOME": str(tmp_path)}
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    urls = json.loads(run("presigned_url", NAME_OF_THE_FILE="red-hair"))
    assert requests.put(urls["presigned_url"], data=ZIP, timeout=30).ok
    request_id = json.loads(run("submit", DATA_SOURCE_PATH=urls["s3_url"]))["finetune_id"]
    assert request_id in [item["id"] for item in json.loads(run("list"))]
    until(lambda: is_available(ours, request_id))
    job = json.loads(run("details", FINETUNE_ID=request_id))["finetune"]
    assert job["name"] == "fluxkontexttest1"
    assert run("access_update", FINETUNE_REQUEST_ID=request_id) == "200"
    assert requests.get(run("download", CLOUD_STORAGE_URL=job["cloud_storage_url"]), timeout=30).ok


def test_our_own_client_takes_the_portal_for_the_vendor(portal: Portal, ours: SegmindClient) -> None:
    target = ours.presigned_url("own.zip")
    ours.upload(target.presigned_url, io.BytesIO(ZIP), len(ZIP))
    request = SubmitRequest("own", target.s3_url, "turn day into night", 0.0004, 20)
    taken = ours.submit(request)
    assert (taken.status, taken.name) == ("REQUESTED", "own")
    until(lambda: is_available(ours, taken.request_id))
    (listed,) = [item for item in ours.list() if item.id == taken.request_id]
    assert (listed.steps, listed.learning_rate, listed.theme) == (20, 0.0004, "KONTEXT")
    assert listed.model_information["simulated"] is True
    ours.set_public(taken.request_id, public=True)
    assert ours.details(taken.request_id).public
    assert requests.get(ours.download_url(listed.cloud_storage_url), timeout=30).ok
    assert until(lambda: known_credits(ours), why="the worker has asked for the balance") > 0
    with pytest.raises(UnauthorizedError):
        SegmindClient(portal.url, "ftp_nobody").list()


def test_the_token_is_nowhere_after_it_was_shown(
    portal: Portal, person: Person, token: str, ours: SegmindClient
) -> None:
    ours.list()
    pages = [person.get(path) for path in ("/", "/tokens/", "/audit/", "/api/", "/datasets/")]
    assert f"…{token[-4:]}" in pages[1]
    files = [content for _, content in contents_below(portal.data)]
    log = portal.log_text()
    assert "GET /finetune/request/list" in log, "the calls are logged"
    assert "PUT /finetune/uploads/" in log
    assert set(re.findall(r"signature=(\S+)", log)) <= {"[redacted]"}
    for text in [*(page.encode() for page in pages), *files, log.encode()]:
        assert token.encode() not in text
        assert token.removeprefix("ftp_").encode() not in text


SCHEMA = schemathesis.openapi.from_dict(document("http://portal.invalid"))
# In `make test` only random cases: the 300 bounds of a submit take ten times as long as all else here.
SCHEMA.config.phases.coverage.enabled = are_many()
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
FUZZ = settings(
    max_examples=examples(80),
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@SCHEMA.parametrize()
@FUZZ
def test_whatever_fits_the_document_or_nearly_does_is_answered_as_it_says(
    case: schemathesis.Case[Any], portal: Portal, token: str
) -> None:
    """And nothing is a 500."""
    answer = case.call(base_url=portal.url, headers={"x-api-key": token}, timeout=20)
    case.validate_response(answer, checks=CHECKS)


def test_the_document_is_there_for_everyone(portal: Portal) -> None:
    payload = requests.get(f"{portal.url}/api/openapi.json", timeout=30).json()
    assert payload == document(portal.url)
    assert payload["openapi"] == "3.1.0"
