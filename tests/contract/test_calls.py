"""The engine and the portal's gateway are two readings of one contract: the same calls, the same verdicts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import requests

from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.models import Job
from tests.engine.calling import body, call, pairs, zipped
from tests.gateway.api_client import DETAILS, LIST, PRESIGNED, SUBMIT, token_of
from tests.people import person
from tests.running import RunningEngine
from tests.web_server import WebServer

PUBLIC = "https://example.com/pairs.zip"
NUMBERS = {"learning_rate": 0.0004, "steps": 300}


@dataclass
class Api:
    url: str
    key: str

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        headers = {"x-api-key": self.key, **options.pop("headers", {})}
        return requests.request(method, self.url + path, headers=headers, timeout=30, **options)

    def submit(self, **advanced: Any) -> requests.Response:
        return self.call("POST", SUBMIT, json=body(PUBLIC, advance_parameters={**NUMBERS, **advanced}))

    def listed(self, key: str) -> dict[str, Any]:
        return next(each for each in self.call("GET", LIST).json() if each["finetune_id"] == key)


@pytest.fixture
def engine_api(engine: RunningEngine) -> Api:
    return Api(engine.url, engine.key)


@pytest.fixture
def portal_api(web: WebServer, engine: RunningEngine) -> Api:
    """The portal as its worker left it after it asked that engine once."""
    names = call(engine, "GET", "/extra").json()["parameters"]
    connections.built_in()
    Connection.objects.update(parameters=names)
    return Api(web.url, token_of(person("alice", "maker"), "train"))


@pytest.fixture(params=["engine_api", "portal_api"])
def api(request: pytest.FixtureRequest) -> Api:
    return request.getfixturevalue(request.param)


def as_form(fields: dict[str, Any]) -> dict[str, str]:
    return {name: each if isinstance(each, str) else json.dumps(each) for name, each in fields.items()}


ENCODINGS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "json": lambda fields: {"json": fields},
    "urlencoded": lambda fields: {"data": as_form(fields)},
    "multipart": lambda fields: {"files": {name: (None, each) for name, each in as_form(fields).items()}},
    "json as curl sends it": lambda fields: {
        "data": json.dumps(fields),
        "headers": {"Content-Type": "application/x-www-form-urlencoded"},
    },
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_submit_may_come_in_any_encoding(api: Api, encoding: str) -> None:
    fields = body(PUBLIC, advance_parameters={**NUMBERS, "rank": 32, "seed": 7, "hold_out": False})
    answer = api.call("POST", SUBMIT, **ENCODINGS[encoding](fields))
    assert answer.status_code == 200, answer.text
    listed = api.listed(answer.json()["finetune_id"])
    assert (listed["name"], listed["advance_parameters"]["steps"]) == ("hats", 300)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_portal_keeps_the_parameters_of_any_encoding(portal_api: Api, encoding: str) -> None:
    further = {"rank": 32, "seed": 7, "hold_out": False}
    fields = body(PUBLIC, advance_parameters={**NUMBERS, **further})
    answer = portal_api.call("POST", SUBMIT, **ENCODINGS[encoding](fields))
    advanced = portal_api.listed(answer.json()["finetune_id"])["advance_parameters"]
    assert advanced == {**NUMBERS, **further, "prompt": "Put a hat on the head", "theme": "KONTEXT"}
    assert Job.objects.get().parameters == further


VALUES = [
    ("rank", 16),
    ("rank", "64"),
    ("rank", 16.0),
    ("rank", 0),
    ("rank", 257),
    ("rank", 1.5),
    ("rank", True),
    ("rank", None),
    ("rank", [16]),
    ("rank", "many"),
    ("alpha", 0),
    ("alpha", -1),
    ("seed", 2**31 - 1),
    ("seed", 2**31),
    ("guidance", 30),
    ("guidance", 30.5),
    ("gradient_clipping", 0),
    ("gradient_clipping", 0.001),
    ("memory", "small"),
    ("memory", "FULL"),
    ("memory", "tiny"),
    ("hold_out", True),
    ("hold_out", "False"),
    ("hold_out", 1),
    ("feed_forward", "yes"),
    ("modulation", "False"),
    ("modulation", 0),
    ("timestep_sampling", "logit_normal"),
    ("timestep_sampling", "Shifted"),
    ("timestep_sampling", "sigmoid"),
    ("resolution", 2048),
    ("resolution", 4096),
    ("batch_size", 65),
    ("gradient_accumulation_steps", 64),
    ("gradient_accumulation_steps", 0),
    ("lr_scheduler", "cosine"),
    ("lr_scheduler", "linear"),
    ("warmup_steps", 0),
    ("checkpoint_steps", 0),
    ("sample_steps", 20_000),
    ("prompt", "as the list repeats it"),
    ("theme", "KONTEXT"),
    ("lora_rank", 16),
    ("Rank", 16),
    ("trigger_word", "TOK"),
]


def test_each_parameter_has_one_verdict(engine_api: Api, portal_api: Api) -> None:
    for name, value in VALUES:
        verdicts = [api.submit(**{name: value}) for api in (engine_api, portal_api)]
        assert len({each.status_code for each in verdicts}) == 1, (name, value, [e.text for e in verdicts])
        for each in verdicts:
            assert each.status_code == 200 or name in each.json()["error"], each.text


def test_every_parameter_of_the_engine_is_taken(engine: RunningEngine, portal_api: Api) -> None:
    values = {
        "memory": "auto",
        "feed_forward": True,
        "modulation": True,
        "hold_out": True,
        "timestep_sampling": "uniform",
        "lr_scheduler": "cosine",
    }
    for name in call(engine, "GET", "/extra").json()["parameters"]:
        answer = portal_api.submit(**{name: values.get(name, 1)})
        assert answer.status_code == 200, (name, answer.text)
        assert name in Job.objects.latest("pk").parameters


@pytest.mark.parametrize("value", ["[1]", "nonsense", [1], 7])
def test_parameters_that_are_no_object_are_refused(api: Api, value: Any) -> None:
    answer = api.call("POST", SUBMIT, json=body(PUBLIC, advance_parameters=value))
    assert (answer.status_code, answer.json()) == (422, {"error": "advance_parameters must be an object."})


def test_head_answers_as_get_without_a_body(api: Api) -> None:
    key = api.submit().json()["finetune_id"]
    for path, query in ((LIST, {}), (DETAILS, {"request_id": key}), ("/v1/get-user-credits", {})):
        connection = requests.Session()
        options: dict[str, Any] = {"headers": {"x-api-key": api.key}, "params": query, "timeout": 30}
        head, get = connection.head(api.url + path, **options), connection.get(api.url + path, **options)
        assert (head.status_code, head.content) == (get.status_code, b""), path
        assert head.headers["Content-Type"] == get.headers["Content-Type"]


@pytest.mark.parametrize("name", ["request_id", "finetune_id"])
def test_details_know_the_id_by_two_names(api: Api, name: str) -> None:
    key = api.submit().json()["finetune_id"]
    assert api.call("GET", DETAILS, json={name: key}).json()["finetune"]["id"] == key
    assert api.call("GET", f"{DETAILS}?{name}={key}").json()["finetune"]["id"] == key


def test_a_put_answers_the_md5_and_may_be_repeated(api: Api) -> None:
    content = zipped(pairs())
    url = api.call("GET", PRESIGNED, json={"name": "a.zip"}).json()["presigned_url"]
    for _ in range(3):
        answer = requests.put(url, data=content, timeout=30)
        assert answer.status_code == 200, answer.text
        assert answer.headers["ETag"] == f'"{hashlib.md5(content, usedforsecurity=False).hexdigest()}"'
