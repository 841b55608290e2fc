"""The adapter of Segmind and of engines: what of the contract is peculiar to their API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from finetune_portal.providers.contract import (
    Account,
    Availability,
    Cancelled,
    Capability,
    GenerateRequest,
    Handle,
    JobRequest,
    Match,
    Money,
    Phase,
    Price,
)
from finetune_portal.providers.errors import CallError, GoneError, RequestRejectedError, ServerError
from finetune_portal.providers.segmind import ADDRESSES, Capabilities, SegmindAdapter
from finetune_portal.providers.segmind import adapter as adapter_module
from finetune_portal.providers.segmind.types import FineTune
from tests.provider import KEY, PICTURE, Answer, ScriptedProvider, breaks, call_of, says
from tests.running import RunningEngine

NONCE = "abcd2345"
OF_THE_VENDOR = {Capability.LIST, Capability.BALANCE, Capability.VISIBILITY, Capability.GENERATE}
HTML = b"<html><h1>404</h1></html>"


@pytest.fixture
def adapter(provider: ScriptedProvider) -> Iterator[SegmindAdapter]:
    made = SegmindAdapter(account(provider))
    with closing(made.client):
        yield made


def account(provider: ScriptedProvider) -> Account:
    return Account({"api": provider.url}, KEY)


def request_for(**fields: Any) -> JobRequest:
    usual: dict[str, Any] = {
        "trainer": "flux-kontext",
        "name": "Red hats",
        "nonce": NONCE,
        "dataset": "https://example.com/pairs.zip",
        "prompt": "Put a red hat on",
        "learning_rate": 1e-4,
        "steps": 500,
    }
    return JobRequest(**{**usual, **fields})


def failure(call: Callable[[], object]) -> CallError:
    with pytest.raises(CallError) as caught:
        call()
    return caught.value


def test_the_address_is_that_of_the_vendor_who_is_not_asked_for_an_extension() -> None:
    """No request leaves: the adapter has a key that would be refused."""
    assert ADDRESSES == {"api": "https://api.segmind.com"}
    adapter = SegmindAdapter(Account({}, KEY), max_seconds=0.01)
    assert adapter.capabilities == OF_THE_VENDOR
    (trainer,) = adapter.trainers()
    assert [each.name for each in trainer.parameters] == ["steps", "learning_rate", "machine_type"]
    assert trainer.availability is Availability.UNKNOWN


def test_the_body_is_the_one_of_the_page_and_the_name_ends_in_the_nonce(
    provider: ScriptedProvider, adapter: SegmindAdapter
) -> None:
    accepted = adapter.submit(request_for(is_public=True, parameters={"machine_type": "NVIDIA_H100"}))
    assert accepted.handle == Handle(provider.jobs[0].id)
    assert accepted.status == "REQUESTED"
    assert provider.sent("submit")[0].json == {
        "name": f"Red hats-{NONCE}",
        "data_source_path": "https://example.com/pairs.zip",
        "instance_prompt": "Put a red hat on",
        "base_model": "FLUX",
        "train_type": "LORA",
        "machine_type": "NVIDIA_H100",
        "theme": "KONTEXT",
        "segmind_public": True,
        "advance_parameters": {"learning_rate": 1e-4, "steps": 500},
    }


@pytest.mark.parametrize(
    ("name", "sent"),
    [(f"Hats-{NONCE}", f"Hats-{NONCE}"), ("", f"job-{NONCE}"), ("x" * 100, f"{'x' * 80}-{NONCE}")],
)
def test_the_nonce_stands_once_at_the_end_of_any_name(
    provider: ScriptedProvider, adapter: SegmindAdapter, name: str, sent: str
) -> None:
    adapter.submit(request_for(name=name))
    assert provider.jobs[0].name == sent


def test_an_engine_has_its_own_parameters_and_abilities_and_no_machine_to_choose(
    provider: ScriptedProvider,
) -> None:
    known = Capabilities(frozenset({"progress", "cancel"}), ("steps", "rank", "flavour"))
    engine = SegmindAdapter(account(provider), known=known)
    with closing(engine.client):
        (trainer,) = engine.trainers()
        assert [each.name for each in trainer.parameters] == ["steps", "learning_rate", "rank", "flavour"]
        assert (trainer.availability, trainer.model) == (Availability.OPEN, "")
        more = {Capability.LOGS, Capability.CANCEL}
        assert engine.capabilities == OF_THE_VENDOR - {Capability.GENERATE} | more
        engine.submit(request_for(parameters={"rank": "32", "flavour": "mint"}))
        fields = provider.jobs[0].fields
        own = {"rank": 32, "flavour": "mint"}
        assert fields["advance_parameters"] == {"learning_rate": 1e-4, "steps": 500, **own}
        assert fields["machine_type"] == "NVIDIA_H100"
    assert provider.sent("extra") == []


def test_another_base_model_of_an_engine_is_named_in_the_submit(provider: ScriptedProvider) -> None:
    offer = {"id": "flux-2-klein-base-4b", "title": "", "licence": "", "most_inputs": 4, "parameters": {}}
    known = Capabilities(frozenset({"progress"}), ("rank",), (offer,))
    engine = SegmindAdapter(account(provider), known=known)
    with closing(engine.client):
        assert [each.id for each in engine.trainers()] == ["flux-2-klein-base-4b"]
        engine.submit(request_for(trainer="flux-2-klein-base-4b", parameters={"rank": 4}))
    fields = provider.jobs[0].fields
    assert fields["base_model"] == "flux-2-klein-base-4b"
    assert "theme" not in fields


def test_a_checked_job_goes_to_whoever_knows_its_parameters_best(provider: ScriptedProvider) -> None:
    """Where the portal knows what an engine takes, nothing is asked between a job and its submit.

    That may be out of date, as after a 502 to the question: the engine itself says what it does not take.
    """
    provider.script("extra", *[says(502, HTML)] * 3)
    engine = SegmindAdapter(account(provider), known=Capabilities())
    with closing(engine.client):
        engine.submit(request_for(trainer="", parameters={"rank": 32, "flavour": "mint"}))
        fields = provider.jobs[0].fields
        own = {"rank": 32, "flavour": "mint"}
        assert list(fields["advance_parameters"].items()) == [
            ("learning_rate", 1e-4),
            ("steps", 500),
            *own.items(),
        ]
        error = failure(lambda: engine.submit(request_for(parameters={"rank": 0})))
        assert (type(error), error.may_have_been_sent) == (RequestRejectedError, False)
    assert [call_of(each) for each in provider.requests] == ["submit"]


def test_the_extension_is_asked_for_once_a_minute(
    provider: ScriptedProvider, adapter: SegmindAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        assert adapter.capabilities == OF_THE_VENDOR
        adapter.trainers()
    assert len(provider.sent("extra")) == 1
    monkeypatch.setattr(adapter_module, "EXTENSION_SECONDS", 0.0)
    provider.can = ("progress", "run")
    assert adapter.capabilities == OF_THE_VENDOR | {Capability.LOGS}
    assert adapter.trainers()[0].model


@pytest.mark.parametrize("answer", [says(401, {"error": "Unauthorized"}), breaks(taken=False)])
def test_a_job_is_not_sent_where_the_question_for_parameters_fails(
    provider: ScriptedProvider, adapter: SegmindAdapter, answer: Answer
) -> None:
    provider.script("extra", answer)
    assert not failure(lambda: adapter.submit(request_for())).may_have_been_sent
    assert provider.sent("submit") == []


@pytest.mark.parametrize(
    ("status", "message", "phase", "error"),
    [
        ("REQUESTED", None, Phase.REQUESTED, ""),
        ("DATA_PROCESSING", None, Phase.DATA, ""),
        ("TRAINING_INITIATED", None, Phase.TRAINING, ""),
        ("TRAINING_COMPLETED", None, Phase.TRAINED, ""),
        ("INFERENCE_QUEUED", None, Phase.DEPLOYING, ""),
        ("AVAILABLE", None, Phase.AVAILABLE, ""),
        ("CALIBRATING", None, Phase.UNKNOWN, ""),
        ("FAILED", "Out of memory", Phase.FAILED, "Out of memory"),
        ("FAILED", None, Phase.FAILED, "The provider gives no reason."),
        ("FAILED", "Cancelled.", Phase.CANCELLED, "Cancelled."),
        ("CANCELED", None, Phase.CANCELLED, "The provider gives no reason."),
        (
            "FAILED",
            f"{KEY} cannot read https://x.example/a?Signature=abc",
            Phase.FAILED,
            "(the API key) cannot read https://x.example/a",
        ),
    ],
)
def test_each_status_has_its_phase(
    provider: ScriptedProvider,
    adapter: SegmindAdapter,
    status: str,
    message: str | None,
    phase: Phase,
    error: str,
) -> None:
    job = provider.adds("job")
    job.status, job.error_message = status, message
    snapshot = adapter.poll(Handle(job.id))
    assert (snapshot.phase, snapshot.status, snapshot.error) == (phase, status, error)


def test_a_snapshot_has_weights_and_slug_and_all_that_was_said(
    provider: ScriptedProvider, adapter: SegmindAdapter
) -> None:
    job = provider.adds("Hats", segmind_public=True)
    job.status = "TRAINING_COMPLETED"
    snapshot = adapter.poll(Handle(job.id))
    (weights,) = snapshot.files
    assert (weights.role, weights.address) == ("weights", job.cloud_storage_url)
    assert (weights.name, weights.size) == ("weights.safetensors", None)
    assert (snapshot.name, snapshot.model, snapshot.is_public) == ("Hats", f"{job.id}-hats", True)
    assert FineTune.from_json(snapshot.raw) == adapter.client.details(job.id)
    provider.script(
        "details", says(200, {"id": job.id, "status": "FAILED", "cloud_storage_url": "https://x/y"})
    )
    assert adapter.poll(Handle(job.id)).files == ()


def test_a_job_is_known_by_more_than_one_id(provider: ScriptedProvider, adapter: SegmindAdapter) -> None:
    payload = {"finetune_id": "a", "id": "b", "name": "Hats", "status": "AVAILABLE"}
    provider.script("list", says(200, [payload]))
    provider.script("details", says(200, {"finetune": payload}))
    (listed,) = adapter.jobs()
    assert (listed.handle, listed.other_ids) == (Handle("a"), {"b"})
    polled = adapter.poll(Handle("b"))
    assert (polled.handle, polled.other_ids) == (Handle("b"), {"a"})


def test_a_job_that_is_not_known_is_gone_and_a_fault_ends_nothing(
    provider: ScriptedProvider, adapter: SegmindAdapter
) -> None:
    assert type(failure(lambda: adapter.poll(Handle("no-such-job")))) is GoneError
    provider.script("details", says(404, HTML), says(502, HTML))
    errors = [type(failure(lambda: adapter.poll(Handle("a")))) for _ in range(2)]
    assert errors == [RequestRejectedError, ServerError]


def test_a_lost_job_is_found_by_its_nonce_alone(provider: ScriptedProvider, adapter: SegmindAdapter) -> None:
    sent_at = datetime.now(UTC)
    other = provider.adds("Red hats-zzzz9999")
    assert adapter.reconcile(request_for(), sent_at).match is Match.NOT_SEEN
    job = provider.adds(f"Blue hats-{NONCE}")
    result = adapter.reconcile(request_for(), sent_at)
    assert (result.match, result.handle) == (Match.FOUND, Handle(job.id))
    other.name = f"Red hats-{NONCE}"
    assert adapter.reconcile(request_for(), sent_at).match is Match.AMBIGUOUS
    assert type(failure(lambda: adapter.reconcile(request_for(nonce=""), sent_at))) is RequestRejectedError


def test_the_balance_is_in_credits_and_no_price_is_made_up(
    provider: ScriptedProvider, adapter: SegmindAdapter
) -> None:
    provider.script("credits", says(200, {"credits": 12.35, "free-credits": 1}))
    assert adapter.balance() == Money(Decimal("12.35"), "credits", Price.QUOTED)
    assert adapter.estimate("flux-kontext", 1000, 1) is None
    assert adapter.cost(Handle("job")) is None


def test_a_model_runs_by_its_slug_with_the_numbers_that_were_chosen(
    provider: ScriptedProvider, adapter: SegmindAdapter
) -> None:
    image = adapter.put_image(PICTURE)
    request = GenerateRequest("flux-kontext", "0a-hats", [image], "Put a hat on", strength=0.5, steps=20)
    assert adapter.generate(request) == PICTURE
    (run,) = provider.runs
    assert run.path == "/v1/0a-hats"
    assert run.json == {
        "prompt": "Put a hat on",
        "input_image": image,
        "lora_strength": 0.5,
        "num_inference_steps": 20,
        "aspect_ratio": "match_input_image",
        "output_format": "png",
    }


@pytest.mark.parametrize(
    "fields",
    [{"trainer": "other"}, {"weights": ""}, {"inputs": []}, {"inputs": ["https://x/1", "https://x/2"]}],
)
def test_what_no_model_takes_is_not_sent(
    provider: ScriptedProvider, adapter: SegmindAdapter, fields: dict[str, Any]
) -> None:
    usual: dict[str, Any] = {"trainer": "flux-kontext", "weights": "0a-hats", "inputs": ["https://x/1"]}
    error = failure(lambda: adapter.generate(GenerateRequest(prompt="p", **{**usual, **fields})))
    assert (type(error), error.may_have_been_sent) == (RequestRejectedError, False)
    assert provider.requests == []


def test_an_engine_shows_its_log_and_cancels(provider: ScriptedProvider, adapter: SegmindAdapter) -> None:
    provider.can, provider.progress = ("progress", "cancel"), {"log": [f"key {KEY}", "step 1/10", ""]}
    job = provider.adds("Hats")
    assert [line.text for line in adapter.logs(Handle(job.id))] == ["key (the API key)", "step 1/10"]
    assert adapter.cancel(Handle(job.id)) is Cancelled.REQUESTED
    assert adapter.poll(Handle(job.id)).phase is Phase.CANCELLED
    assert adapter.cancel(Handle(job.id)) is Cancelled.TOO_LATE


def test_the_local_engine_names_what_it_can_and_takes(engine: RunningEngine) -> None:
    adapter = SegmindAdapter(Account({"api": engine.url}, engine.key))
    with closing(adapter.client):
        assert {Capability.LOGS, Capability.CANCEL, Capability.LIST} <= adapter.capabilities
        assert Capability.GENERATE not in adapter.capabilities  # it only simulates
        (trainer,) = adapter.trainers()
        names = [each.name for each in trainer.parameters]
        assert names[:3] == ["steps", "learning_rate", "rank"]
        assert "machine_type" not in names
        assert len(set(names)) == len(names)
        assert trainer.availability is Availability.OPEN
