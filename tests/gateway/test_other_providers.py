"""Jobs at other providers by the same call: what can be asked for, what is refused, how they look."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.connections import trainers
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset, Transfer
from finetune_portal.datasets.transfer import transfer_next
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from tests.fal.account import trained
from tests.fal.calls import KLEIN, KONTEXT
from tests.fal.server import FakeFal
from tests.gateway.api_client import (
    ACCESS,
    ALL,
    DETAILS,
    DOWNLOAD,
    LIST,
    SUBMIT,
    TRAINERS,
    call,
    error_of,
    submit_body,
    token_of,
)
from tests.people import make_dataset, make_job
from tests.worker.driving import send_now

KLEIN_9B = "fal-ai/flux-2-klein-9b-base-trainer/edit"
NUMBERS = {"steps": 500, "learning_rate": 0.0001}
SEGMINDS = ("base_model", "train_type", "machine_type", "theme", "segmind_public")


def submit(user: User, dataset: Dataset, **fields: Any) -> Any:
    """A submit without any of Segmind's own fields, but those that are given."""
    address = f"http://testserver/finetune/uploads/{dataset.key}/{dataset.filename}"
    without = {name: None for name in SEGMINDS if name not in fields}
    body = submit_body(address, advance_parameters=NUMBERS, **without)
    return call(token_of(user, *ALL), "POST", SUBMIT, {**body, **fields})


def started(answer: Any) -> Job:
    assert answer.status_code == 200, answer.content
    return Job.objects.get(form_key=answer.json()["finetune_id"])


NAMED = [
    ({"provider": "fal", "trainer": KLEIN}, KLEIN),
    ({"provider": "FAL", "trainer": "flux.2 KLEIN 4B edit"}, KLEIN),
    ({"trainer": KLEIN}, KLEIN),
    ({"provider": "fal", "base_model": "FLUX"}, KONTEXT),
    ({"provider": "fal", "base_model": "FLUX", "theme": "KONTEXT", "train_type": "LORA"}, KONTEXT),
    ({"provider": "fal", "trainer": KLEIN, "base_model": "FLUX", "theme": "KONTEXT"}, KLEIN),
    ({"base_model": KLEIN}, KLEIN),
    ({"base_model": "FLUX.2 klein 9B base"}, KLEIN_9B),
    ({"base_model": "Qwen-Image-Edit-2511", "theme": "KONTEXT"}, "fal-ai/qwen-image-edit-2511-trainer"),
    ({"trainer": KLEIN, "data_source_path": "https://example.com/pairs.zip"}, KLEIN),
    ({"provider": "engine"}, ""),
    ({"provider": "local engine", "trainer": "flux-kontext"}, ""),
    ({"trainer": "FLUX.1 Kontext"}, ""),
]


@pytest.mark.parametrize(("fields", "trainer"), NAMED, ids=[json.dumps(fields) for fields, _ in NAMED])
def test_what_is_named_is_trained(
    alice: User, at_fal: Connection, dataset: Dataset, fields: dict[str, Any], trainer: str
) -> None:
    job = started(submit(alice, dataset, **fields))
    expected = at_fal if trainer else connections.default()
    assert (job.connection, job.trainer, job.steps) == (expected, trainer, 500)


REFUSED = [
    (
        {"provider": "nobody"},
        "provider: there is no “nobody”. There are: “Local engine” (engine), “fal” (fal).",
    ),
    ({"trainer": "x"}, f"trainer: there is no “x”. There are: flux-kontext, {KLEIN}, "),
    (
        {"provider": "fal", "trainer": "flux-kontext"},
        f"trainer: there is no “flux-kontext”. There are: {KLEIN}, ",
    ),
    ({"provider": "engine", "trainer": KLEIN}, f"trainer: there is no “{KLEIN}”. There are: flux-kontext."),
    ({"provider": "fal"}, f"trainer: name one. There are: {KLEIN}, "),
    (
        {"base_model": "FLUX.2 [dev]"},
        "trainer: name one. There are: fal-ai/flux-2-trainer/edit, fal-ai/flux-2-",
    ),
    (
        {"trainer": KLEIN, "base_model": "Qwen-Image-Edit"},
        "base_model: there is no “Qwen-Image-Edit”. There are: ",
    ),
    ({"provider": 5}, "provider must be text."),
    ({"trainer": [KLEIN]}, "trainer must be text."),
    ({"trainer": KLEIN, "segmind_public": True}, "segmind_public: “fal” has no public models."),
    (
        {"trainer": KLEIN, "advance_parameters": {**NUMBERS, "steps": 550}},
        "steps: Steps must be a multiple of 100.",
    ),
    (
        {"trainer": KLEIN, "advance_parameters": {**NUMBERS, "rank": 8}},
        "advance_parameters: “fal” does not take “rank”",
    ),
    ({}, "base_model is missing."),
]


@pytest.mark.parametrize(("fields", "sentence"), REFUSED, ids=[sentence for _, sentence in REFUSED])
def test_what_there_is_not_is_refused_in_a_sentence(
    alice: User, at_fal: Connection, dataset: Dataset, fields: dict[str, Any], sentence: str
) -> None:
    answer = submit(alice, dataset, **fields)
    assert answer.status_code == 422
    assert error_of(answer).startswith(sentence), error_of(answer)
    assert not Job.objects.exists()


def test_a_job_goes_by_the_call_to_the_provider(alice: User, at_fal: Connection, fal: FakeFal) -> None:
    dataset = make_dataset(alice, stored=False)
    advanced = {**NUMBERS, "output_lora_format": "comfy"}
    job = started(submit(alice, dataset, provider="fal", trainer=KLEIN, advance_parameters=advanced))
    Transfer.objects.update(due_at=job.created_at)
    assert transfer_next()
    assert send_now(job).state == State.REQUESTED
    (paid,) = fal.jobs
    assert paid.endpoint == KLEIN
    assert {name: paid.input[name] for name in advanced} == advanced


def test_of_two_accounts_one_is_named(
    alice: User, dana: User, at_fal: Connection, fal: FakeFal, dataset: Dataset
) -> None:
    studio = connections.add(name="Studio", provider="fal", key=fal.key, actor=dana)
    answer = submit(alice, dataset, trainer=KLEIN)
    assert error_of(answer) == "provider: name one. There are: “fal” (fal), “Studio” (fal)."
    assert started(submit(alice, dataset, trainer=KLEIN, provider="studio")).connection == studio
    assert started(submit(alice, dataset, trainer=KLEIN, provider="fal")).connection == at_fal
    connections.make_default(studio, actor=dana)
    assert started(submit(alice, dataset, trainer=KLEIN)).connection == studio


def test_the_vendors_words_are_a_kontext_job_at_any_default(
    alice: User, dana: User, at_fal: Connection, dataset: Dataset
) -> None:
    words = {"base_model": "FLUX", "train_type": "LORA", "theme": "KONTEXT", "machine_type": "NVIDIA_H100"}
    assert started(submit(alice, dataset, **words)).connection == connections.built_in()
    connections.make_default(at_fal, actor=dana)
    job = started(submit(alice, dataset, **words))
    assert (job.connection, job.trainer) == (at_fal, KONTEXT)


def test_a_trainer_that_closed_is_refused(alice: User, at_fal: Connection, dataset: Dataset) -> None:
    trainers.note_closed(at_fal, KLEIN)
    answer = submit(alice, dataset, trainer=KLEIN)
    assert answer.status_code == 422
    assert error_of(answer).startswith("trainer: “fal” takes no new jobs for this.")
    at_fal.is_training_closed, at_fal.probe_at = True, at_fal.updated_at.replace(year=2999)
    at_fal.save()
    assert submit(alice, dataset, trainer=KLEIN_9B).status_code == 409
    rows = call(token_of(alice), "GET", TRAINERS).json()
    assert {row["availability"] for row in rows if row["provider"] == "fal"} == {"closed"}


def test_the_trainers_are_listed_with_their_parameters(
    alice: User, charlie: User, at_fal: Connection
) -> None:
    rows = call(token_of(charlie), "GET", TRAINERS).json()
    first = rows[0]
    assert (first["connection"], first["provider"], first["trainer"]) == (
        "Local engine",
        "engine",
        "flux-kontext",
    )
    assert [row["trainer"] for row in rows if row["is_default"]] == ["flux-kontext"]
    klein = next(row for row in rows if row["trainer"] == KLEIN)
    parameters = {each.pop("name"): each for each in klein.pop("parameters")}
    assert klein == {
        "connection": "fal",
        "provider": "fal",
        "trainer": KLEIN,
        "title": "FLUX.2 klein 4B edit",
        "base_model": "FLUX.2 klein 4B base",
        "licence": "Apache 2.0",
        "most_inputs": 4,
        "availability": "open",
        "is_default": False,
    }
    assert list(parameters) == ["steps", "learning_rate", "output_lora_format"]
    steps, form = parameters["steps"], parameters["output_lora_format"]
    assert (steps["type"], steps["minimum"], steps["maximum"], steps["step"]) == ("integer", 100, 10000, 100)
    assert (form["type"], form["choices"], form["default"]) == ("string", ["fal", "comfy"], "fal")


@pytest.mark.parametrize("provider", ["at_fal", "at_replicate"])
def test_each_listed_trainer_can_be_asked_for(
    alice: User, dataset: Dataset, provider: str, request: pytest.FixtureRequest
) -> None:
    """By its own words; the bounds are those that a submit is held to."""
    request.getfixturevalue(provider)
    rows = call(token_of(alice), "GET", TRAINERS).json()
    assert len(rows) > 2
    for row in rows:
        numbers = {each["name"]: each for each in row["parameters"]}
        for end in ("minimum", "maximum"):
            advanced = {name: numbers[name][end] for name in ("steps", "learning_rate")}
            named = {"provider": row["connection"], "trainer": row["trainer"]}
            job = started(submit(alice, dataset, **named, advance_parameters=advanced))
            assert (job.steps, job.learning_rate) == tuple(advanced.values())


def test_a_job_elsewhere_has_the_vendors_shape_and_no_false_field(
    alice: User, at_fal: Connection, fal: FakeFal, dataset: Dataset
) -> None:
    raw = {"request_id": "fal-secret-id", "diffusers_lora_file": {"url": "https://x.example/y"}}
    job = trained(alice, at_fal, fal, dataset=dataset, provider_data=raw)
    at_segmind = make_job(alice, dataset=dataset)
    token = token_of(alice, "download", "publish")
    rows = {row["finetune_id"]: row for row in call(token, "GET", LIST).json()}
    theirs, ours = rows[str(job.form_key)], rows[str(at_segmind.form_key)]
    details = call(token, "GET", DETAILS, {"request_id": str(job.form_key)}).json()["finetune"]
    for row in (theirs, details):
        assert (row["status"], row["provider_status"]) == ("AVAILABLE", "COMPLETED")
        assert (row["base_model"], row["trainer"]) == ("FLUX.2 klein 4B base", KLEIN)
        assert (row["provider"], row["connection"], row["source_type"]) == ("fal", "fal", None)
        assert "fal-secret-id" not in json.dumps(row)
        assert "diffusers_lora_file" not in row
    assert theirs["theme"] is None
    assert "theme" not in theirs["advance_parameters"]
    assert (ours["base_model"], ours["theme"], ours["source_type"]) == ("FLUX", "KONTEXT", "AWS_S3")
    assert not ours.keys() & {"provider", "trainer", "connection", "provider_status"}
    link = call(token, "GET", DOWNLOAD, {"cloud_storage_url": details["cloud_storage_url"]})
    assert (link.status_code, link.content.decode()) == (200, job.cloud_storage_url)


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (State.WAITING, "REQUESTED"),
        (State.REQUESTED, "REQUESTED"),
        (State.RUNNING, "TRAINING_INITIATED"),
        (State.TRAINING, "TRAINING_INITIATED"),
        (State.READY, "AVAILABLE"),
        (State.FAILED, "FAILED"),
        (State.REFUSED, "FAILED"),
    ],
)
def test_its_status_is_in_the_vendors_words(alice: User, at_fal: Connection, state: str, status: str) -> None:
    make_job(alice, state, connection=at_fal, trainer=KLEIN, provider_status="COMPLETED")
    (row,) = call(token_of(alice), "GET", LIST).json()
    assert row["status"] == status


@pytest.mark.parametrize("public", ["True", "False"])
def test_it_cannot_be_public_and_nothing_is_asked(
    alice: User, at_fal: Connection, fal: FakeFal, public: str
) -> None:
    job = trained(alice, at_fal, fal)
    asked = len(fal.requests)
    fields = {"request_id": str(job.form_key), "segmind_public": public}
    answer = call(token_of(alice, "publish"), "PUT", ACCESS, fields)
    assert (answer.status_code, error_of(answer)) == (409, "“fal” has no public models.")
    assert len(fal.requests) == asked
