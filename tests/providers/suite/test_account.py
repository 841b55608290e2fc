"""The account at each provider: key, trainers, money, and answers that mean harm."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from finetune_portal.providers.contract import (
    Account,
    Adapter,
    Capability,
    GenerateRequest,
    Handle,
    Money,
    ResultFile,
    StoredDataset,
)
from finetune_portal.providers.errors import CallError, UnauthorizedError, UnreachableError
from tests.provider import PICTURE, says
from tests.providers.suite.subject import Call, Subject
from tests.providers.suite.test_submit import HTML


def test_a_good_key_is_accepted_at_no_cost(subject: Subject) -> None:
    subject.adapter.check_key()
    assert subject.sent(Call.SUBMIT) == subject.sent(Call.GENERATE) == 0


@pytest.mark.parametrize("key", ["", "another", "ключ", "\udcff", "line\nbreak"])
def test_a_key_that_is_not_accepted(subject: Subject, key: str) -> None:
    """One that no header can hold is not sent at all."""
    adapter = subject.make(Account(subject.account.addresses, key))
    calls: tuple[Callable[[], object], ...] = (
        adapter.check_key,
        lambda: adapter.submit(subject.request()),
        lambda: adapter.poll(subject.unknown_handle()),
    )
    for call in calls:
        error = subject.failure(call)
        assert type(error) is (UnreachableError if "\n" in key else UnauthorizedError)
        assert not error.may_have_been_sent
    assert subject.jobs(subject.nonce) == 0


def test_a_trainer_has_a_form_whose_defaults_it_takes(subject: Subject) -> None:
    trainers = subject.adapter.trainers()
    assert subject.usual["trainer"] in {trainer.id for trainer in trainers if trainer.is_known}
    assert [each.is_known for each in trainers] == sorted((each.is_known for each in trainers), reverse=True)
    for trainer in trainers:
        if not trainer.is_known:
            assert trainer.parameters == ()
            continue
        assert trainer.title
        assert trainer.base_model
        assert trainer.licence
        names = [parameter.name for parameter in trainer.parameters]
        assert names[:2] == ["steps", "learning_rate"]
        assert len(set(names)) == len(names)
        for parameter in trainer.parameters:
            assert parameter.default is None or parameter.read(parameter.default) == parameter.default


def test_an_amount_has_a_currency_or_is_not_known(subject: Subject) -> None:
    handle = subject.ended().handle
    adapter, trainer = subject.adapter, subject.usual["trainer"]
    amounts = {
        Capability.ESTIMATE: adapter.estimate(trainer, 1000, 1),
        Capability.COST: adapter.cost(handle),
        Capability.BALANCE: adapter.balance(),
    }
    for capability, amount in amounts.items():
        assert isinstance(amount, Money) is (capability in adapter.capabilities)
        assert amount is None or (amount.currency and amount.amount >= 0)


HOSTILE = [
    b"",
    HTML,
    b"\xff\xfe\x00",
    b"null",
    b"[]",
    b"[" * 5000,
    b'{"a": 1, "a": 2}',
    b'{"status": [], "logs": {"a": 1}, "request_id": {}, "id": {}, "detail": [[]], "error": [null]}',
    b'{"status": "COMPLETED", "logs": [null, 5, {"message": {}}], "error_type": {}, "queue_position": -1}',
    b'{"finetune": {"id": "a", "status": {}, "cloud_storage_url": 5, "advance_parameters": "["}}',
    b'{"models": [null, {"endpoint_id": 5, "metadata": []}], "has_more": true, "next_cursor": "x"}',
    b'{"prices": {"a": 1}, "items": [5], "billing_events": "x", "credits": [], "keys": {}}',
    b'{"token": 5, "access_url": null, "signed_url": [], "has_more": 1, "next_cursor": {}}',
    b'[{"id": 7, "name": null, "status": "\\u0000"}, null, {"finetune_id": [], "id": "b"}]',
    b'{"presigned_url": "ftp://x", "s3_url": "x", "version": 1, "can": ["progress", 5], "credits": 1e999}',
]
CALLS: dict[str, Callable[[Subject, Adapter, Handle], Any]] = {
    "trainers": lambda subject, adapter, job: adapter.trainers(),
    "check_key": lambda subject, adapter, job: adapter.check_key(),
    "estimate": lambda subject, adapter, job: adapter.estimate(subject.usual["trainer"], 1000, 1),
    "address": lambda subject, adapter, job: adapter.dataset_address(
        StoredDataset("https://v3.fal.media/a"), "1"
    ),
    "submit": lambda subject, adapter, job: adapter.submit(subject.request()),
    "reconcile": lambda subject, adapter, job: adapter.reconcile(subject.request(), datetime.now(UTC)),
    "poll": lambda subject, adapter, job: adapter.poll(job),
    "link": lambda subject, adapter, job: adapter.file_link(ResultFile("weights", "https://x/a")),
    "cost": lambda subject, adapter, job: adapter.cost(job),
    "balance": lambda subject, adapter, job: adapter.balance(),
    "image": lambda subject, adapter, job: adapter.put_image(PICTURE),
    "generate": lambda subject, adapter, job: adapter.generate(
        GenerateRequest(subject.usual["trainer"], "https://x/a", ["https://x/b"], "p")
    ),
}
OPTIONAL: dict[Capability, Callable[[Subject, Adapter, Handle], Any]] = {
    Capability.LIST: lambda subject, adapter, job: adapter.jobs(),
    Capability.LOGS: lambda subject, adapter, job: adapter.logs(job),
    Capability.CANCEL: lambda subject, adapter, job: adapter.cancel(job),
    Capability.VISIBILITY: lambda subject, adapter, job: adapter.set_public(job, public=True),
}


@pytest.mark.parametrize("call", [*CALLS, *OPTIONAL])
@pytest.mark.usefixtures("without_collector")
def test_hostile_answers_make_typed_errors(subject: Subject, call: str) -> None:
    """A2: whatever a body is, a call raises a CallError or returns what its type says."""
    if call in OPTIONAL:
        subject.needs(Capability(call))
    act = CALLS.get(call) or OPTIONAL[Capability(call)]
    adapter, job = subject.make(subject.account, max_seconds=2), subject.unknown_handle()
    shown = list[str]()
    for status in (200, 202, 400, 403, 404, 422, 500):
        for body in HOSTILE:
            subject.answer_all(says(status, body, taken=False))
            try:
                act(subject, adapter, job)
            except CallError as exc:
                shown.append(f"{exc} {exc.detail}")
            subject.answer_rightly()
    assert subject.account.key not in "".join(shown)
