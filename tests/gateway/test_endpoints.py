"""The calls of docs/provider-api.md, answered from rows: shapes, rights, refusals. No provider is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job, Limits
from tests.gateway.api_client import (
    ACCESS,
    ALL,
    CREDITS,
    DETAILS,
    DOWNLOAD,
    LIST,
    PRESIGNED,
    SUBMIT,
    call,
    error_of,
    submit_body,
    token_of,
)
from tests.people import make_dataset, make_job

SAMPLES = Path(__file__).resolve().parent.parent / "contract"
BASE = "http://testserver"
PROVIDER_ID = "7d6c9a4e-0000-4000-8000-000000000001"
PROVIDER_DATA = {
    "id": PROVIDER_ID,
    "finetune_id": PROVIDER_ID,
    "request_id": PROVIDER_ID,
    "status": "AVAILABLE",
    "source_type": "AWS_S3",
    "data_source_path": "https://storage.example/secret-place.zip",
    "model_information": {"simulated": True},
    "a_field_of_tomorrow": 7,
    "reached": "ready",
}


def sample(name: str) -> Any:
    return json.loads((SAMPLES / name).read_text(encoding="utf-8"))


def s3_url(dataset: Dataset) -> str:
    return f"{BASE}/finetune/uploads/{dataset.key}/{dataset.filename}"


def ready_job(owner: User | None, dataset: Dataset | None = None, **fields: Any) -> Job:
    weights = "https://storage.example/model.safetensors"
    fields = {
        "request_id": PROVIDER_ID,
        "provider_status": "AVAILABLE",
        "cloud_storage_url": weights,
        "slug": "a-slug",
        "provider_data": PROVIDER_DATA,
        **fields,
    }
    return make_job(owner, State.READY, dataset=dataset, **fields)


def assert_same_shape(answer: dict[str, Any], expected: dict[str, Any]) -> None:
    assert expected.keys() <= answer.keys()
    for key, value in expected.items():
        if isinstance(value, dict) and value:
            assert_same_shape(answer[key], value)
        elif value is not None:
            assert type(answer[key]) is type(value), key


def test_submit_starts_a_job_of_the_person_and_answers_in_the_shape_of_the_page(
    alice: User, dataset: Dataset
) -> None:
    answer = call(token_of(alice, "train"), "POST", SUBMIT, submit_body(s3_url(dataset), trigger_word="TOK"))
    assert answer.status_code == 200, answer.content
    assert_same_shape(answer.json(), sample("submit.json"))
    job = Job.objects.get()
    assert answer.json() == {"status": "REQUESTED", "finetune_id": str(job.form_key), "name": "red hair"}
    assert (job.owner, job.dataset, job.steps, job.learning_rate) == (alice, dataset, 300, 0.0004)
    assert job.state == State.QUEUED
    event = AuditEvent.objects.get(action="job.start")
    assert event.actor == alice
    assert event.detail["token"].startswith("nightly …")


def test_a_public_address_goes_through_the_guard(alice: User) -> None:
    token = token_of(alice, "train")
    answer = call(token, "POST", SUBMIT, submit_body("https://example.com/pairs.zip"))
    assert answer.status_code == 200
    assert Job.objects.get().dataset.source_url == "https://example.com/pairs.zip"
    answer = call(token, "POST", SUBMIT, submit_body("ftp://example.com/pairs.zip"))
    assert answer.status_code == 422
    assert error_of(answer).startswith("data_source_path: This is not a web address.")
    assert Dataset.objects.count() == 1


WRONG = [
    ({"name": "\u202e"}, "name: Enter a name for the job."),
    ({"name": None}, "name: Enter a name for the job."),
    ({"name": {"a": 1}}, "name must be text."),
    ({"instance_prompt": ["red"]}, "instance_prompt must be text."),
    ({"instance_prompt": "x" * 1001}, "instance_prompt: "),
    ({"advance_parameters": {"learning_rate": 0.0004, "steps": 0}}, "steps: Enter at least 1 step."),
    ({"advance_parameters": {"learning_rate": 5, "steps": 300}}, "learning_rate: Too large"),
    (
        {"advance_parameters": {"learning_rate": float("nan"), "steps": 300}},
        "learning_rate: Enter the learning rate",
    ),
    ({"advance_parameters": {"learning_rate": 0.0004, "steps": "300, 500"}}, "advance_parameters: one"),
    ({"advance_parameters": None}, "learning_rate: Enter a learning rate"),
    ({"advance_parameters": [1]}, "advance_parameters must be an object."),
    (
        {"advance_parameters": {"learning_rate": 0.0004, "steps": 300, "x": 8}},
        "advance_parameters: “Local engine” does not take “x”",
    ),
    ({"machine_type": "NVIDIA_A100"}, "machine_type: "),
    ({"theme": "FLUX"}, "theme must be KONTEXT"),
    ({"theme": None}, "theme is missing."),
    ({"base_model": 5}, "base_model must be text."),
    ({"segmind_public": "maybe"}, "segmind_public must be true or false."),
    ({"data_source_path": None}, "data_source_path is missing."),
    ({"data_source_path": f"{BASE}/finetune/uploads/{PROVIDER_ID}/a.zip"}, "data_source_path: there is no"),
]


@pytest.mark.parametrize(("changes", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
def test_a_wrong_field_is_named_in_a_sentence(
    alice: User, dataset: Dataset, changes: dict[str, Any], sentence: str
) -> None:
    answer = call(token_of(alice, *ALL), "POST", SUBMIT, {**submit_body(s3_url(dataset)), **changes})
    assert answer.status_code == 422
    assert error_of(answer).startswith(sentence), error_of(answer)
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b"[1]", "application/json", 422),
        (b"\xff\xfe", "application/json", 400),
        (b'{"name": "\\ud800"}', "application/json", 400),
        (b"[" * 200_000, "application/json", 400),
        (b"--x\r\nContent-Disposition: nothing\r\n", "multipart/form-data", 400),
        (b'{"name": "' + b"x" * 1_100_000 + b'"}', "application/json", 413),
        (b"&".join(b"a=1" for _ in range(1100)), "application/x-www-form-urlencoded", 413),
    ],
    ids=["cut", "a list", "bytes", "half a pair", "deep", "no boundary", "large", "many"],
)
@pytest.mark.usefixtures("without_collector")
def test_a_body_that_cannot_be_read_is_refused(alice: User, body: bytes, kind: str, status: int) -> None:
    headers = {"x-api-key": token_of(alice, *ALL)}
    answer = Client().generic("POST", SUBMIT, body, kind, headers=headers)
    assert answer.status_code == status
    assert error_of(answer)


def test_a_refused_dataset_says_why(alice: User, dataset: Dataset) -> None:
    Dataset.objects.update(state=Dataset.State.REJECTED, verdict={"problems": ["There are no pairs."]})
    answer = call(token_of(alice, "train"), "POST", SUBMIT, submit_body(s3_url(dataset)))
    assert answer.status_code == 422
    assert "There are no pairs." in error_of(answer)


def test_the_same_idempotency_key_is_the_same_job(alice: User, bob: User, dataset: Dataset) -> None:
    body, key = submit_body("https://example.com/pairs.zip"), {"Idempotency-Key": "run 7"}
    token = token_of(alice, "train")
    first, second = (call(token, "POST", SUBMIT, body, **key) for _ in range(2))
    assert first.json() == second.json()
    assert (Job.objects.count(), Dataset.objects.exclude(source_url="").count()) == (1, 1)
    assert call(token, "POST", SUBMIT, body).json() != first.json()
    other = call(token_of(bob, "train"), "POST", SUBMIT, body, **key)
    assert other.json()["finetune_id"] != first.json()["finetune_id"]
    assert Job.objects.count() == 3


def test_the_limit_of_a_maker_holds_here_too(alice: User, dana: User, settings: Any) -> None:
    settings.LOCAL_ENGINE = False
    settings.SEGMIND_BASE_URL, settings.SEGMIND_API_KEY = "http://127.0.0.1:9", "a-key-of-the-vendor"
    Limits.objects.create(pk=1, per_person_day=1, only_admins_publish=True)
    token, body = token_of(alice, *ALL), submit_body("https://example.com/pairs.zip")
    assert call(token, "POST", SUBMIT, body).status_code == 200
    answer = call(token, "POST", SUBMIT, body)
    assert (answer.status_code, error_of(answer)) == (
        409,
        "You may start 1 job per day; none is left for today.",
    )
    assert (Job.objects.count(), Dataset.objects.count()) == (1, 1), "nothing is left of a refused one"
    answer = call(token, "POST", SUBMIT, {**body, "segmind_public": True})
    assert (answer.status_code, "Only admins" in error_of(answer)) == (422, True)
    assert call(token_of(dana, *ALL), "POST", SUBMIT, body).status_code == 200


def test_publishing_at_the_start_needs_the_right_to_publish(alice: User, dataset: Dataset) -> None:
    body = submit_body(s3_url(dataset), segmind_public=True)
    answer = call(token_of(alice, "train"), "POST", SUBMIT, body)
    assert (answer.status_code, Job.objects.count()) == (403, 0)
    assert call(token_of(alice, "train", "publish"), "POST", SUBMIT, body).status_code == 200
    assert Job.objects.get().wants_public


def test_details_have_the_shape_of_the_page_and_the_portals_own_id(alice: User, dataset: Dataset) -> None:
    job = ready_job(alice, dataset)
    answer = call(token_of(alice), "GET", DETAILS, {"request_id": str(job.form_key)})
    assert answer.json().keys() == {"finetune"}
    finetune = answer.json()["finetune"]
    assert_same_shape(finetune, sample("details.json")["finetune"])
    assert finetune["id"] == finetune["finetune_id"] == str(job.form_key)
    assert (finetune["status"], finetune["slug"], finetune["a_field_of_tomorrow"]) == (
        "AVAILABLE",
        "a-slug",
        7,
    )
    assert finetune["data_source_path"] == s3_url(dataset)
    assert finetune["model_information"] == {"simulated": True}
    assert PROVIDER_ID not in str(finetune)
    assert "reached" not in finetune


def test_the_list_is_a_bare_array_of_what_the_team_has(alice: User, charlie: User, dataset: Dataset) -> None:
    old = make_job(alice, dataset=dataset)
    job = ready_job(None)
    make_job(alice, archived_at=job.created_at)
    answer = call(token_of(charlie), "GET", LIST).json()
    assert [each["finetune_id"] for each in answer] == [str(job.form_key), str(old.form_key)]
    for item in answer:
        assert_same_shape(item, sample("list.json")[0])
    assert answer[0]["data_source_path"] == PROVIDER_DATA["data_source_path"]
    assert PROVIDER_ID not in str(answer)


def test_the_list_takes_no_query_for_a_row(alice: User, dataset: Dataset) -> None:
    for state in (State.WAITING, State.FAILED, State.CLOSED):
        make_job(alice, state, dataset=dataset)
        make_job(None, state)
    token = token_of(alice)
    call(token, "GET", LIST)
    with CaptureQueriesContext(connection) as queries:
        assert len(call(token, "GET", LIST).json()) == 6
    counting = [query for query in queries if "cacheentry" in query["sql"] or "SAVEPOINT" in query["sql"]]
    assert len(queries) - len(counting) <= 2, "the token, the rows"


STATUSES = [
    (State.WAITING, "", "REQUESTED", None),
    (State.UNCONFIRMED, "", "REQUESTED", None),
    (State.TRAINING, "TRAINING_INITIATED", "TRAINING_INITIATED", None),
    (State.FAILED, "FAILED", "FAILED", "Out of luck."),
    (State.REFUSED, "", "FAILED", "Out of luck."),
]


@pytest.mark.parametrize(("state", "provider", "status", "error"), STATUSES)
def test_statuses_are_the_vendors_words(
    alice: User, state: str, provider: str, status: str, error: str | None
) -> None:
    job = make_job(alice, state, provider_status=provider, error="Out of luck.")
    finetune = call(token_of(alice), "GET", DETAILS, {"request_id": str(job.form_key)}).json()["finetune"]
    assert (finetune["status"], finetune["error_message"]) == (status, error)


@pytest.mark.parametrize("request_id", ["nonsense", PROVIDER_ID, "é" * 40])
def test_an_unknown_request_is_404(alice: User, request_id: str) -> None:
    ready_job(alice)
    token = token_of(alice, *ALL)
    for method, path, payload in (
        ("GET", DETAILS, {"request_id": request_id}),
        ("PUT", ACCESS, {"request_id": request_id, "segmind_public": "True"}),
        ("GET", DOWNLOAD, {"cloud_storage_url": request_id}),
    ):
        answer = call(token, method, path, payload)
        assert (answer.status_code, bool(error_of(answer))) == (404, True), path


def test_one_field_may_come_in_the_query_or_in_any_form(alice: User) -> None:
    job, token = ready_job(alice), token_of(alice)
    key = str(job.form_key)
    headers = {"x-api-key": token}
    kinds = [
        call(token, "GET", f"{DETAILS}?request_id={key}"),
        call(token, "GET", DETAILS, {"request_id": key}, form=True),
        Client().generic(
            "GET", DETAILS, f"request_id={key}", "application/x-www-form-urlencoded", headers=headers
        ),
    ]
    assert [answer.json()["finetune"]["id"] for answer in kinds] == [key] * 3


def test_a_viewer_and_a_bare_token_only_read(alice: User, charlie: User, dataset: Dataset) -> None:
    job = ready_job(alice, dataset)
    changing = (
        ("POST", SUBMIT, submit_body(s3_url(dataset))),
        ("GET", PRESIGNED, {"name": "a.zip"}),
        ("PUT", ACCESS, {"request_id": str(job.form_key), "segmind_public": "True"}),
        ("GET", DOWNLOAD, {"cloud_storage_url": job.cloud_storage_url}),
    )
    Connection.objects.update(credits=4.5)
    for token, why in (
        (token_of(charlie, *ALL), "Viewers can look"),
        (token_of(alice), "This token may not"),
    ):
        for method, path, payload in changing:
            answer = call(token, method, path, payload)
            assert (answer.status_code, error_of(answer)[: len(why)]) == (403, why), path
        assert call(token, "GET", LIST).status_code == 200
        assert call(token, "GET", CREDITS).json() == {"credits": 4.5, "free-credits": 0}
    assert Job.objects.count() == 1


def test_only_the_owner_and_admins_publish(alice: User, bob: User, dana: User, settings: Any) -> None:
    settings.SEGMIND_BASE_URL = "http://127.0.0.1:9"
    settings.SEGMIND_API_KEY = "a-key"
    fields = {"request_id": str(ready_job(alice).form_key), "segmind_public": "True"}
    answer = call(token_of(bob, *ALL), "PUT", ACCESS, fields, form=True)
    assert answer.status_code == 403
    assert error_of(answer).startswith("Only the person who started this job")
    for person in (alice, dana):
        answer = call(token_of(person, *ALL), "PUT", ACCESS, fields, form=True)
        assert answer.status_code == 502, "the provider is asked, and is away"
        assert error_of(answer).startswith("Visibility was not changed.")


def test_what_cannot_be_done_now_is_409_with_its_sentence(alice: User) -> None:
    job = make_job(alice, State.TRAINING, request_id=None)
    fields = {"request_id": str(job.form_key), "segmind_public": "True"}
    answer = call(token_of(alice, *ALL), "PUT", ACCESS, fields)
    assert (answer.status_code, error_of(answer)) == (
        409,
        "There is no model yet to make public or private.",
    )


def test_a_balance_that_is_not_known_yet_says_so(alice: User) -> None:
    connections.built_in()
    assert call(token_of(alice), "GET", CREDITS).status_code == 503


CALLS = [
    ("POST", SUBMIT),
    ("GET", DETAILS),
    ("GET", LIST),
    ("GET", PRESIGNED),
    ("PUT", ACCESS),
    ("GET", DOWNLOAD),
    ("GET", CREDITS),
]


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_each_call_answers_its_methods_only_and_nobody_without_a_token(
    alice: User, method: str, path: str
) -> None:
    token = token_of(alice, *ALL)
    methods = ["GET", "HEAD"] if path in (DETAILS, LIST, CREDITS) else [method]
    for other in {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"} - set(methods):
        answer = call(token, other, path)
        assert (answer.status_code, answer.headers["Allow"]) == (405, ", ".join(methods)), other
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert client.generic(method, path).status_code == 401, "a session opens nothing here"


def test_elsewhere_under_the_calls_there_is_nothing(alice: User, dataset: Dataset) -> None:
    for path in ("/finetune/request/delete", "/finetune/", s3_url(dataset).removeprefix(BASE)):
        answer = call(token_of(alice, *ALL), "GET", path)
        assert answer.status_code == 404
    assert error_of(answer).startswith("Not found. The page /api/ lists the calls.")


def test_a_dataset_of_another_is_usable_too(alice: User, bob: User) -> None:
    """The library is the team's."""
    dataset = make_dataset(bob)
    assert call(token_of(alice, "train"), "POST", SUBMIT, submit_body(s3_url(dataset))).status_code == 200
