"""A fake Replicate and the adapter of its account, for one test each."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest

from finetune_portal.providers.contract import Account, JobRequest
from finetune_portal.providers.replicate import ReplicateAdapter
from tests.provider.pairs import packed
from tests.replicate.calls import KONTEXT, PRUNA
from tests.replicate.ledger import Job
from tests.replicate.server import FakeReplicate

NONCE = "0a1b2c3d"


@pytest.fixture
def replicate() -> Iterator[FakeReplicate]:
    """The key never stands in an address, a body or a header but its own, nor goes to where files lie."""
    with FakeReplicate() as running:
        yield running
    for request in running.requests:
        headers = "".join(value for name, value in request.headers.items() if name != "authorization")
        shown = f"{request.path} {request.query} {headers}".encode() + request.body
        if running.name_of(request) in ("download", "delivery"):
            shown += request.headers.get("authorization", "").encode()
        assert running.key.encode() not in shown


@pytest.fixture
def adapter(replicate: FakeReplicate) -> ReplicateAdapter:
    return ReplicateAdapter(account(replicate))


@pytest.fixture(params=[PRUNA, KONTEXT], ids=["prediction", "training"])
def trainer(request: pytest.FixtureRequest) -> str:
    """A trainer of each kind."""
    return str(request.param)


def account(replicate: FakeReplicate) -> Account:
    return Account({"api": replicate.api_url}, replicate.key)


def uploaded(adapter: ReplicateAdapter, content: bytes | None = None, nonce: str = NONCE) -> str:
    """The address of a dataset at the fake, for this attempt alone."""
    data = packed() if content is None else content
    stored = adapter.put_dataset("pairs.zip", io.BytesIO(data), len(data))
    return adapter.dataset_address(stored, nonce)


def request_for(
    dataset: str = "https://example.com/pairs.zip", *, trainer: str = PRUNA, **fields: Any
) -> JobRequest:
    usual = {
        "trainer": trainer,
        "name": "Red hair",
        "nonce": NONCE,
        "prompt": "Make it red",
        "learning_rate": 0.0 if trainer == KONTEXT else 1e-4,
        "steps": 500,
    }
    return JobRequest(dataset=dataset, **{**usual, **fields})


def only_job(replicate: FakeReplicate) -> Job:
    (job,) = replicate.jobs
    return job
