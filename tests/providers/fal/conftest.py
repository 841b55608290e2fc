"""A fake fal and the adapter of its account, for one test each."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest

from finetune_portal.providers.contract import Account, JobRequest
from finetune_portal.providers.fal import FalAdapter
from tests.fal.calls import KLEIN, packed
from tests.fal.keys import misplaced
from tests.fal.ledger import Job
from tests.fal.server import FakeFal
from tests.providers.failures import failure

__all__ = ["NONCE", "account", "failure", "only_job", "request_for", "uploaded"]

NONCE = "0a1b2c3d"


@pytest.fixture
def fal() -> Iterator[FakeFal]:
    """No key may ever reach the CDN, an address, a body, or the public keys of the webhooks."""
    with FakeFal() as running:
        yield running
    assert misplaced(running) == []


@pytest.fixture
def adapter(fal: FakeFal) -> FalAdapter:
    return FalAdapter(account(fal))


def account(fal: FakeFal, admin_key: str = "") -> Account:
    addresses = {"queue": fal.queue_url, "rest": fal.rest_url, "cdn": fal.cdn_url, "api": fal.api_url}
    return Account(addresses, fal.key, admin_key)


def uploaded(adapter: FalAdapter, content: bytes | None = None) -> str:
    """The address of a dataset at the fake, for this attempt alone."""
    data = packed() if content is None else content
    stored = adapter.put_dataset("pairs.zip", io.BytesIO(data), len(data))
    return adapter.dataset_address(stored, NONCE)


def request_for(dataset: str = "https://example.com/pairs.zip", **fields: Any) -> JobRequest:
    usual = {
        "trainer": KLEIN,
        "name": "Red hair",
        "nonce": NONCE,
        "prompt": "Make it red",
        "learning_rate": 5e-5,
        "steps": 500,
    }
    return JobRequest(dataset=dataset, **{**usual, **fields})


def only_job(fal: FakeFal) -> Job:
    (job,) = fal.jobs
    return job
