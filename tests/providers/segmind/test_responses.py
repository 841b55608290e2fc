"""Answers that no page shows (docs/provider-api.md, 10, 12 and 15): taken as meant, or one clear error."""

from __future__ import annotations

import json
from typing import Any

import pytest

from finetune_portal.providers.errors import InvalidResponseError
from finetune_portal.providers.segmind import FineTune, SegmindClient, phase
from tests.provider import KEY, ScriptedProvider, says
from tests.providers.segmind.conftest import SUBMIT

ITEM = {"id": "row", "finetune_id": "job", "name": "hats", "status": "AVAILABLE"}
SIGNED = "https://bucket.example/w.safetensors?AWSAccessKeyId=AKIDEXAMPLE&Signature=c2VjcmV0&Expires=1"
HTML = b"<!doctype html><title>502 Bad Gateway</title>"


def details(provider: ScriptedProvider, client: SegmindClient, payload: Any) -> FineTune:
    provider.script("details", says(200, payload))
    return client.details("job")


@pytest.mark.parametrize("name", ["finetune_id", "request_id", "id", "job_id"])
def test_the_id_has_many_names(provider: ScriptedProvider, client: SegmindClient, name: str) -> None:
    provider.submit_id, provider.item_ids = name, (name,)
    taken = client.submit(SUBMIT)
    assert taken.request_id == provider.jobs[0].id
    assert client.list()[0].id == client.details(taken.request_id).id == taken.request_id


def test_an_id_that_differs_from_the_finetune_id_is_known_too(
    provider: ScriptedProvider, client: SegmindClient
) -> None:
    finetune = details(provider, client, {"finetune": ITEM | {"request_id": 77}})
    assert finetune.id == "job"
    assert finetune.ids == {"job", "row", "77"}


@pytest.mark.parametrize("name", ["public_model", "segmind_public_model", "segmind_public"])
@pytest.mark.parametrize(
    ("value", "public"),
    [(True, True), ("True", True), ("true ", True), (False, False), ("False", False), (None, False)],
)
def test_the_public_flag_has_three_names_and_two_types(
    provider: ScriptedProvider, client: SegmindClient, name: str, value: Any, public: bool
) -> None:
    assert details(provider, client, ITEM | {name: value}).public is public


@pytest.mark.parametrize("payload", [{"finetune": ITEM}, ITEM, {"finetune": None, **ITEM}])
def test_details_wrapped_or_not(provider: ScriptedProvider, client: SegmindClient, payload: Any) -> None:
    assert details(provider, client, payload).id == "job"


@pytest.mark.parametrize(
    "payload",
    [
        [ITEM],
        {"finetunes": [ITEM]},
        {"count": 1, "data": [ITEM], "message": None},
        {"warnings": [], "data": [ITEM]},
        [None, "x", 5, [], {}, {"id": None}, {"name": "no id"}, ITEM],
    ],
)
def test_the_list_wrapped_or_not_and_among_rubbish(
    provider: ScriptedProvider, client: SegmindClient, payload: Any
) -> None:
    provider.script("list", says(200, payload))
    assert [item.id for item in client.list()] == ["job"]


def test_the_list_late_and_in_another_order(provider: ScriptedProvider, client: SegmindClient) -> None:
    """S8: a job that was taken need not be in the list yet."""
    first = provider.adds("first")
    provider.late, provider.newest_first = 2, True
    second = provider.adds("second")
    seen = [[item.id for item in client.list()] for _ in range(3)]
    assert seen == [[first.id], [first.id], [second.id, first.id]]


def test_skipped_states(provider: ScriptedProvider, client: SegmindClient) -> None:
    provider.states = ("REQUESTED", "AVAILABLE")
    provider.adds("hats")
    assert [phase(client.list()[0].status) for _ in range(3)] == ["requested", "available", "available"]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("QUEUED", "requested"),
        ("retried", "requested"),
        ("INFERENCE_QUEUED", "deploying"),
        ("DEPLOYING", "deploying"),
        ("TRAINING_COMPLETED", "trained"),
        ("CALIBRATING", "unknown"),
        ("", "unknown"),
        ("TRAINING_FAILED", "failed"),
        ("internal_error", "failed"),
        ("CANCELLED", "failed"),
    ],
)
def test_states_are_kept_as_they_are_told(
    provider: ScriptedProvider, client: SegmindClient, status: str, expected: str
) -> None:
    finetune = details(provider, client, ITEM | {"status": status})
    assert finetune.status == status
    assert phase(finetune.status) == expected


def test_fields_that_no_page_shows_are_kept(provider: ScriptedProvider, client: SegmindClient) -> None:
    fields = ITEM | {"output_image_url": "https://h/i.png", "training_metadata": '{"loss": [0.2]}'}
    assert details(provider, client, fields).raw == fields


@pytest.mark.parametrize(
    "advanced", [{"steps": "300", "learning_rate": "4e-4"}, '{"steps": 300, "learning_rate": 0.0004}']
)
def test_parameters_as_text(provider: ScriptedProvider, client: SegmindClient, advanced: Any) -> None:
    finetune = details(
        provider, client, ITEM | {"advance_parameters": advanced, "model_information": '{"a": 1}'}
    )
    assert (finetune.steps, finetune.learning_rate) == (300, 0.0004)
    assert finetune.model_information == {"a": 1}


@pytest.mark.parametrize("value", [None, [], {}, True, -1, 1e300, "", "NaN", "{", [[1]], {"steps": []}])
def test_wrong_types_are_as_good_as_nothing(
    provider: ScriptedProvider, client: SegmindClient, value: Any
) -> None:
    names = ("name", "error_message", "slug", "cloud_storage_url", "created_ts", "status", "public_model")
    fields = dict.fromkeys((*names, "advance_parameters", "model_information", "theme"), value)
    finetune = details(provider, client, {"id": "job", **fields})
    assert (finetune.steps, finetune.learning_rate) == (None, None)
    assert isinstance(finetune.name, str)
    assert isinstance(finetune.status, str)
    assert isinstance(finetune.model_information, dict)


def test_what_a_database_cannot_hold_does_not_come_through(
    provider: ScriptedProvider, client: SegmindClient
) -> None:
    """One prompt with a NUL, typed elsewhere with the same key, must not stop the following of all jobs."""
    body = (
        rb'[{"id":"a\u0000b","name":"\ud800x\u0007","steps":1e999,'
        rb'"more":[{"k\u0000":"\udfff"}],"ok":"\ud83d\ude00"}]'
    )
    provider.script("list", says(200, body))
    (finetune,) = client.list()
    assert (finetune.id, finetune.name) == ("ab", "?x")
    assert finetune.raw == {"id": "ab", "name": "?x\a", "steps": None, "more": [{"k": "?"}], "ok": "😀"}
    assert json.loads(json.dumps(finetune.raw, allow_nan=False)) == finetune.raw


def test_what_no_column_has_room_for_does_not_come_through(
    provider: ScriptedProvider, client: SegmindClient
) -> None:
    """SQLite would take it, PostgreSQL refuses it: one such row must not stop the following of all jobs."""
    provider.script("list", says(200, [{**ITEM, "finetune_id": "x" * 101}, {"id": "x" * 101}]))
    assert [finetune.ids for finetune in client.list()] == [{"row"}]
    addresses = {"presigned_url": SIGNED, "s3_url": "https://bucket.example/" + "x" * 2000}
    provider.script("presigned_url", says(200, addresses))
    with pytest.raises(InvalidResponseError):
        client.presigned_url("hats")


@pytest.mark.parametrize("body", [b"", b"200", b"OK", b"{}", b'{"status": true}', b"null", HTML])
def test_any_2xx_publishes(provider: ScriptedProvider, client: SegmindClient, body: bytes) -> None:
    job = provider.adds("hats")
    provider.script("set_public", says(200, body), says(204))
    client.set_public(job.id, public=True)
    assert job.public
    client.set_public(job.id, public=False)
    assert not job.public


@pytest.mark.parametrize(
    "body",
    [
        SIGNED.encode(),
        f"\ufeff  {SIGNED}\r\n".encode(),
        json.dumps(SIGNED).encode(),
        json.dumps({"url": SIGNED}).encode(),
        json.dumps({"status": 200, "note": "valid for 1 hour", "download_url": SIGNED}).encode(),
    ],
)
def test_the_download_link_as_text_or_json(
    provider: ScriptedProvider, client: SegmindClient, body: bytes
) -> None:
    provider.script("download_url", says(200, body))
    assert client.download_url("https://bucket.example/w.safetensors") == SIGNED


@pytest.mark.parametrize(
    "body",
    [b"", b"200", b"null", HTML, b"javascript:alert(1)", b"ftp://h/x", b"https://h/a b", b"[]", b"https://["],
)
def test_what_is_no_link_is_not_taken_for_one(
    provider: ScriptedProvider, client: SegmindClient, body: bytes
) -> None:
    provider.script("download_url", says(200, body))
    with pytest.raises(InvalidResponseError):
        client.download_url("https://bucket.example/w.safetensors")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"200",
        b"[]",
        b"{}",
        HTML,
        b'{"finetune_id": null}',
        b'{"finetune_id": ""}',
        b'{"finetune_id": {"id": 1}}',
        b'{"finetune_id": "a", "finetune_id": "b"}',
        b'{"finetune_id": NaN}',
        b'{"finetune_id": "\xff"}',
        b"[" * 100_000,
        b'{"finetune_id": ' + b"9" * 5000 + b"}",
        b'{"finetune_id": "' + b"x" * 101 + b'"}',
    ],
)
@pytest.mark.usefixtures("without_collector")
def test_a_submit_whose_answer_makes_no_sense_may_have_been_taken(
    provider: ScriptedProvider, client: SegmindClient, body: bytes
) -> None:
    """S6: money may be spent, so it is not for the client to call it unsent."""
    provider.script("submit", says(200, body))
    with pytest.raises(InvalidResponseError) as caught:
        client.submit(SUBMIT)
    assert caught.value.may_have_been_sent
    assert provider.charged(SUBMIT.name) == 1


@pytest.mark.parametrize(
    "body", [b'{"credits": null}', b'{"credits": "much"}', b'{"credits": true}', b"12.5"]
)
def test_a_balance_that_is_none(provider: ScriptedProvider, client: SegmindClient, body: bytes) -> None:
    provider.script("credits", says(200, b'{"credits": "12.50", "free-credits": null}'), says(200, body))
    assert client.credits().credits == 12.5
    with pytest.raises(InvalidResponseError):
        client.credits()


def test_a_signed_url_is_not_in_the_repr_of_its_holder(client: SegmindClient) -> None:
    target = client.presigned_url("hats")
    assert "Signature" in target.presigned_url
    assert "Signature" not in repr(target)
    assert KEY not in repr(client) + repr(client.__dict__)
