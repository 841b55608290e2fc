"""Whether a key is good is asked without cost, and hostile answers make typed errors."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from finetune_portal.providers.contract import GenerateRequest, Handle, StoredDataset
from finetune_portal.providers.errors import (
    CallError,
    InvalidResponseError,
    OutOfCreditsError,
)
from finetune_portal.providers.replicate import ADDRESSES, ReplicateAdapter, webhooks
from tests.provider import PICTURE, says
from tests.provider.fake import HTML
from tests.providers.failures import failure
from tests.providers.replicate.conftest import account, request_for
from tests.replicate.calls import KONTEXT, PRUNA
from tests.replicate.routes import NAMES
from tests.replicate.server import FakeReplicate
from tests.replicate.webhooks import signed


def test_a_good_key(replicate: FakeReplicate, adapter: ReplicateAdapter) -> None:
    adapter.check_key()
    assert [(request.method, request.path) for request in replicate.requests] == [("GET", "/v1/account")]


def test_a_locked_account_and_a_wrong_address_are_other_things(
    replicate: FakeReplicate, adapter: ReplicateAdapter
) -> None:
    replicate.locked_on = {"account"}
    error = failure(adapter.check_key)
    assert type(error) is OutOfCreditsError
    assert "insufficient credit" in error.message
    replicate.locked_on = ()
    replicate.script("account", says(200, HTML))
    assert type(failure(adapter.check_key)) is InvalidResponseError


def test_the_address_is_that_of_replicate() -> None:
    assert ADDRESSES == {"api": "https://api.replicate.com/v1"}


HOSTILE = [
    b"",
    HTML,
    b"\xff\xfe\x00",
    b"null",
    b"[]",
    b"[" * 5000,
    b'{"a": 1, "a": 2}',
    b'{"status": [], "logs": {"a": 1}, "id": {}, "detail": [[]], "error": [null], "urls": 5}',
    b'{"id": "1", "status": "succeeded", "output": [[]], "urls": {"get": 5}, "completed_at": "x"}',
    b'{"id": "1", "status": "failed", "error": {}, "logs": [5], "latest_version": [], "username": 5}',
    b'{"results": [null, 5, {"id": 5, "input": [], "created_at": []}], "next": {}}',
    b'{"results": {"a": 1}, "next": "javascript:alert(1)", "key": [], "checksums": 5, "expires_at": {}}',
    b'{"latest_version": {"id": "../../x"}, "username": "../..", "urls": {"get": "//x"}, "key": "whsec_*"}',
]
CALLS: dict[str, Callable[[ReplicateAdapter, Handle], Any]] = {
    "trainers": lambda adapter, job: adapter.trainers(),
    "check_key": lambda adapter, job: adapter.check_key(),
    "put": lambda adapter, job: adapter.put_image(PICTURE),
    "address": lambda adapter, job: adapter.dataset_address(StoredDataset("https://x/files/a"), "1"),
    "prediction": lambda adapter, job: adapter.submit(request_for()),
    "training": lambda adapter, job: adapter.submit(request_for(trainer=KONTEXT)),
    "reconcile": lambda adapter, job: adapter.reconcile(request_for(), datetime.now(UTC)),
    "poll": lambda adapter, job: adapter.poll(job),
    "logs": lambda adapter, job: adapter.logs(job),
    "cancel": lambda adapter, job: adapter.cancel(job),
    "generate": lambda adapter, job: adapter.generate(
        GenerateRequest(PRUNA, "https://x/a", ["https://x/b"], "p")
    ),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.usefixtures("without_collector")
def test_hostile_answers_make_typed_errors(
    replicate: FakeReplicate, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A2: whatever a body is, a call raises a CallError or returns what its type says."""
    adapter = ReplicateAdapter(account(replicate), max_seconds=1)
    job = Handle("1", dict.fromkeys(("get", "cancel"), f"{replicate.api_url}/predictions/1"))
    shown = list[str]()
    for status in (200, 201, 400, 403, 404, 422, 429, 500):
        for body in HOSTILE:
            for name in NAMES:
                replicate.script(name, *[says(status, body, taken=False)] * 60)
            try:
                CALLS[call](adapter, job)
            except CallError as exc:
                shown.append(f"{exc} {exc.detail}")
            replicate.unscript()
    assert replicate.key not in "".join(shown)


@pytest.mark.parametrize("body", HOSTILE)
@pytest.mark.usefixtures("without_collector")
def test_hostile_messages_make_typed_errors(
    replicate: FakeReplicate, adapter: ReplicateAdapter, body: bytes
) -> None:
    webhooks.SECRETS.clear()
    try:
        event = adapter.verify_webhook(signed(replicate, body), body, datetime.now(UTC))
    except CallError:
        return
    assert event.id == "1"
