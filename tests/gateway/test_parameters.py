"""`advance_parameters` beside steps and learning rate: refused by name, or stored and sent on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.connections import capabilities
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Job
from finetune_portal.worker import tasks
from tests.gateway.api_client import DETAILS, SUBMIT, call, error_of, submit_body, token_of
from tests.people import make_job, signed_in
from tests.provider import ScriptedProvider, says
from tests.worker.driving import follow_now, point_at, text_of

NUMBERS = {"learning_rate": 0.0004, "steps": 300}
EXTRA = {"version": 1, "can": ["progress"], "parameters": ["rank", "seed", "hold_out", "of_tomorrow"]}


@pytest.fixture(autouse=True)
def fake(settings: Any, db: None) -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        point_at(settings, running)
        yield running


def learn(fake: ScriptedProvider, extra: Any = EXTRA) -> None:
    connections.built_in()
    fake.script("extra", says(200, extra))
    capabilities.expire(connections.built_in())
    assert capabilities.refresh_next()


def submit(user: User, dataset: Dataset, **advanced: Any) -> Any:
    body = submit_body(f"http://testserver/finetune/uploads/{dataset.key}/{dataset.filename}")
    return call(
        token_of(user, "train"), "POST", SUBMIT, {**body, "advance_parameters": {**NUMBERS, **advanced}}
    )


def test_known_ones_reach_the_provider(alice: User, dataset: Dataset, fake: ScriptedProvider) -> None:
    learn(fake)
    answer = submit(alice, dataset, rank="32", seed=7, hold_out=False, of_tomorrow="yes")
    assert answer.status_code == 200, answer.content
    further = {"rank": 32, "seed": 7, "hold_out": False, "of_tomorrow": "yes"}
    assert Job.objects.get().parameters == further
    follow_now()
    assert tasks.submit_jobs()
    [sent] = fake.sent("submit")
    assert sent.json["advance_parameters"] == {**NUMBERS, **further}
    html = text_of(signed_in(alice), f"/jobs/{Job.objects.get().pk}/")
    facts = dict(re.findall(r"<dt>([\w ]+)</dt><dd class=\"number\">([^<]+)</dd>", html))
    assert facts.items() >= {"Rank": "32", "Seed": "7", "Hold out": "no", "Of tomorrow": "yes"}.items()


def test_unknown_ones_are_refused_by_name(alice: User, dataset: Dataset, fake: ScriptedProvider) -> None:
    learn(fake)
    answer = submit(alice, dataset, lora_rank=8, optimizer="Adafactor", rank=16)
    assert answer.status_code == 422
    sentence = error_of(answer)
    assert "does not take “lora_rank”, “optimizer”." in sentence
    assert "It takes learning_rate, steps, rank, seed, hold_out, of_tomorrow." in sentence
    assert not Job.objects.exists()


@pytest.mark.parametrize("value", [0, 257, 1.5, "many", None, [1], {"a": 1}, True])
def test_a_value_out_of_range_is_refused_at_once(
    alice: User, dataset: Dataset, fake: ScriptedProvider, value: Any
) -> None:
    learn(fake)
    answer = submit(alice, dataset, rank=value)
    assert answer.status_code == 422
    assert error_of(answer).startswith("advance_parameters: rank must be a")


@pytest.mark.parametrize("value", [[1], {"a": 1}, "x" * 300, None])
def test_what_cannot_be_transmitted_is_refused(
    alice: User, dataset: Dataset, fake: ScriptedProvider, value: Any
) -> None:
    learn(fake)
    answer = submit(alice, dataset, of_tomorrow=value)
    assert (answer.status_code, "of_tomorrow" in error_of(answer)) == (422, True)


def test_a_provider_without_an_extension_takes_none(
    alice: User, dataset: Dataset, fake: ScriptedProvider
) -> None:
    """As the vendor: its page has steps and learning rate only (docs/provider-api.md, 11.1)."""
    connections.built_in()
    capabilities.refresh_next()
    assert submit(alice, dataset).status_code == 200
    answer = submit(alice, dataset, rank=16)
    assert "does not take “rank”. It takes learning_rate, steps." in error_of(answer)


def test_before_the_provider_was_asked_those_of_an_engine_are_taken(
    alice: User, dataset: Dataset, settings: Any
) -> None:
    """The engine checks them itself, and its refusal is the job's. The vendor is known to take none."""
    connections.built_in()
    assert Connection.objects.get().parameters is None
    assert submit(alice, dataset, rank=16).status_code == 200
    assert "does not take “lora_rank”" in error_of(submit(alice, dataset, lora_rank=16))
    settings.SEGMIND_BASE_URL = "https://api.segmind.com"
    assert "does not take “rank”" in error_of(submit(alice, dataset, rank=16))


def test_what_the_list_repeats_may_be_sent_back(
    alice: User, dataset: Dataset, fake: ScriptedProvider
) -> None:
    learn(fake)
    submit(alice, dataset, rank=16)
    token = token_of(alice, "train")
    job = Job.objects.get()
    listed = call(token, "GET", "/finetune/request/list").json()[0]["advance_parameters"]
    assert listed == {**NUMBERS, "rank": 16, "prompt": job.instance_prompt, "theme": "KONTEXT"}
    assert submit(alice, dataset, **listed).status_code == 200
    assert Job.objects.latest("pk").parameters == {"rank": 16}
    assert call(token, "GET", DETAILS, {"request_id": str(job.form_key)}).status_code == 200


def test_a_connection_that_does_not_take_them_does_not_get_the_job(
    alice: User, dana: User, dataset: Dataset, fake: ScriptedProvider
) -> None:
    learn(fake)
    other = connections.add(name="Studio", base_url=fake.url, key=fake.key, actor=dana)
    Connection.objects.filter(pk=other.pk).update(parameters=[])
    job = make_job(alice, dataset=dataset, parameters={"rank": 32})
    client = signed_in(alice)
    page = client.post(f"/jobs/{job.pk}/connection/", {"connection": other.pk}).headers["Location"]
    assert "“Studio” does not take “rank”." in text_of(client, page)
    assert Job.objects.get().connection_id == job.connection_id
