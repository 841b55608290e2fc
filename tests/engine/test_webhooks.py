"""Webhooks out, to a real HTTP receiver: what is sent, how it is signed, and how often it is tried."""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import json
import time
from typing import Any

import pytest

from tests.conftest import StartEngine
from tests.engine.calling import EVENTS, call, reached, started
from tests.engine.sink import Answer, Seen, listening
from tests.ports import free_port
from tests.running import RunningEngine
from tests.waiting import until


def test_every_state_is_told_in_order(engines: StartEngine) -> None:
    with listening() as sink:
        engine = engines(ENGINE_WEBHOOK_URL=f"{sink.url}/hooks/secret/")
        job = reached(engine, started(engine, "hooked"), "AVAILABLE")
        until(lambda: len(sink.seen) == len(EVENTS))
    assert sink.statuses == EVENTS
    events = {seen["status"]: seen for seen in (json.loads(seen.body) for seen in sink.seen)}
    assert {event["finetune_id"] for event in events.values()} == {job["id"]}
    assert {event["name"] for event in events.values()} == {"hooked"}
    assert events["DEPLOYING"]["type"] == "finetune.deploying"
    assert events["TRAINING_COMPLETED"]["trained_model_url"] == job["cloud_storage_url"]
    assert events["AVAILABLE"]["inference_api_url"] == f"{engine.url}/v1/{job['slug']}"
    assert {seen.path for seen in sink.seen} == {"/hooks/secret/"}
    assert {seen.headers["content-type"] for seen in sink.seen} == {"application/json"}
    assert len({seen.headers["webhook-id"] for seen in sink.seen}) == len(EVENTS)
    assert "webhook-signature" not in sink.seen[0].headers
    assert "secret" not in engine.log


def test_a_failure_is_told(engines: StartEngine) -> None:
    with listening() as sink:
        engine = engines(ENGINE_WEBHOOK_URL=sink.url)
        job = reached(engine, started(engine, "fail-training"), "FAILED")
        until(lambda: len(sink.seen) == 3)
    assert json.loads(sink.seen[-1].body)["error_message"] == job["error_message"]


@pytest.mark.parametrize("secret", ["whsec_" + base64.b64encode(b"k" * 32).decode(), "plain words"])
def test_it_is_signed_as_standard_webhooks_are(engines: StartEngine, secret: str) -> None:
    key = b"k" * 32 if secret.startswith("whsec_") else secret.encode()
    with listening() as sink:
        engine = engines(ENGINE_WEBHOOK_URL=sink.url, ENGINE_WEBHOOK_SECRET=secret)
        started(engine, "fail-data")
        until(lambda: sink.seen)
    seen = sink.seen[0]
    signed = f"{seen.headers['webhook-id']}.{seen.headers['webhook-timestamp']}.".encode() + seen.body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert seen.headers["webhook-signature"] == f"v1,{expected}"
    assert abs(time.time() - int(seen.headers["webhook-timestamp"])) < 30


@pytest.mark.parametrize("trouble", [500, 404, 302, 429])
def test_it_is_tried_again_with_the_same_id(engines: StartEngine, trouble: int) -> None:
    answers = itertools.chain([trouble, trouble], itertools.repeat(204))

    def answer(seen: Seen) -> Answer:
        return Answer(next(answers), headers={"Location": "/elsewhere"})

    with listening(answer) as sink:
        engine = engines(ENGINE_WEBHOOK_URL=sink.url, ENGINE_TIME_SCALE="0.002")
        started(engine, "fail-data")
        until(lambda: len(sink.seen) == 4)  # two events; two tries were refused
    tries: dict[str, int] = {}
    for seen in sink.seen:
        assert seen.path == "/"
        tries[seen.headers["webhook-id"]] = tries.get(seen.headers["webhook-id"], 0) + 1
    assert sum(tries.values()) == 4
    assert set(sink.statuses) == {"DATA_PROCESSING", "FAILED"}


def test_a_receiver_that_was_down_gets_everything(engines: StartEngine) -> None:
    port = free_port()
    engine = engines(ENGINE_WEBHOOK_URL=f"http://127.0.0.1:{port}/", ENGINE_TIME_SCALE="0.01")
    reached(engine, started(engine), "AVAILABLE")
    engine.kill()
    engine.start()
    with listening(port=port) as sink:
        until(lambda: set(sink.statuses) == set(EVENTS))


def test_410_ends_it(engines: StartEngine) -> None:
    with listening(lambda seen: Answer(410)) as sink:
        engine = engines()
        webhook_id = added(engine, sink.url).json()["webhook_id"]
        reached(engine, started(engine), "AVAILABLE")
        until(lambda: all(log["tries"] for log in logs(engine, webhook_id)))
        assert len(sink.seen) == 1
    assert call(engine, "GET", "/webhook/get").json() == {"webhooks": []}
    *later, first = logs(engine, webhook_id)
    assert (first["answer"], first["tries"], first["delivered"]) == ("410", 1, False)
    # On a slow machine further events were written down before the answer came.
    assert {log["answer"] for log in later} <= {"not sent: the webhook is inactive"}


def added(engine: RunningEngine, url: Any, types: Any = ("FINETUNE",)) -> Any:
    fields = {"webhook_url": url, "event": {"types": list(types) if isinstance(types, tuple) else types}}
    return call(engine, "POST", "/webhook/add", json=fields)


def logs(engine: RunningEngine, webhook_id: str) -> list[dict[str, Any]]:
    answer = call(engine, "GET", "/webhook/dispatch-logs", params={"webhook_id": webhook_id})
    return answer.json()["logs"]


def test_a_deleted_webhook_is_not_changed_but_added_anew(engines: StartEngine) -> None:
    """There is one at a time, so an update that brought it back could make a second one."""
    engine = engines()
    deleted = added(engine, "https://example.com/a").json()["webhook_id"]
    call(engine, "GET", "/webhook/inactive", params={"webhook_id": deleted})
    fields = {
        "webhook_id": deleted,
        "webhook_url": "https://example.com/b",
        "event": {"types": ["FINETUNE"]},
    }
    answer = call(engine, "POST", "/webhook/update", json=fields)
    assert (answer.status_code, "Add a new one" in answer.json()["error"]) == (409, True)
    current = added(engine, "https://example.com/c").json()["webhook_id"]
    assert call(engine, "POST", "/webhook/update", json=fields).status_code == 409
    for name, wrong in (("webhook_url", "javascript:alert(1)"), ("event", {"types": []})):
        changed = fields | {"webhook_id": current, name: wrong}
        assert call(engine, "POST", "/webhook/update", json=changed).status_code == 422
    assert call(engine, "POST", "/webhook/update", json=fields | {"webhook_id": current}).status_code == 200
    [webhook] = call(engine, "GET", "/webhook/get").json()["webhooks"]
    assert (webhook["webhook_id"], webhook["webhook_url"]) == (current, "https://example.com/b")


def test_one_at_a_time_by_the_api(engines: StartEngine) -> None:
    engine = engines()
    with listening() as sink:
        webhook_id = added(engine, sink.url).json()["webhook_id"]
        second = added(engine, sink.url)
        assert second.status_code == 409
        assert "Delete it" in second.json()["error"]
        reached(engine, started(engine), "AVAILABLE")
        until(lambda: len(sink.seen) == len(EVENTS))
        until(lambda: all(log["delivered"] for log in logs(engine, webhook_id)))
        assert [log["status"] for log in logs(engine, webhook_id)] == EVENTS[::-1]

        call(engine, "GET", "/webhook/inactive", params={"webhook_id": webhook_id})
        assert added(engine, sink.url, ["PIXELFLOW"]).status_code == 200
        reached(engine, started(engine), "AVAILABLE")
        assert len(sink.seen) == len(EVENTS)  # this one asked for other news


@pytest.mark.parametrize(
    ("url", "types", "says"),
    [
        (None, ["FINETUNE"], "webhook_url is missing"),
        ("javascript:alert(1)", ["FINETUNE"], "webhook_url must be"),
        ("http://127.0.0.1/", [], "event.types"),
        ("http://127.0.0.1/", "FINETUNE", "event.types"),
        ("http://127.0.0.1/", [1], "event.types"),
    ],
)
def test_a_bad_webhook_names_its_field(engine: RunningEngine, url: Any, types: Any, says: str) -> None:
    answer = added(engine, url, types)
    assert answer.status_code == 422
    assert says in answer.json()["error"]


def test_the_operators_webhook_is_not_changed_by_the_api(engines: StartEngine) -> None:
    engine = engines(ENGINE_WEBHOOK_URL="http://127.0.0.1:9/")
    (shown,) = call(engine, "GET", "/webhook/get").json()["webhooks"]
    assert added(engine, "http://127.0.0.1:9/other").status_code == 409
    fields = {"webhook_id": shown["webhook_id"], "webhook_url": "http://a/", "event": {"types": ["FINETUNE"]}}
    assert call(engine, "POST", "/webhook/update", json=fields).status_code == 409


def test_a_webhook_into_a_private_network_is_not_called(engines: StartEngine) -> None:
    engine = engines()
    webhook_id = added(engine, "http://10.0.0.1/hook").json()["webhook_id"]
    reached(engine, started(engine, "fail-data"), "FAILED")
    until(lambda: [log for log in logs(engine, webhook_id) if log["tries"]])
    assert "not a public one" in logs(engine, webhook_id)[-1]["answer"]
