"""Whether a key is good is asked without cost; the addresses are fal's."""

from __future__ import annotations

from finetune_portal.providers.errors import OutOfCreditsError, ServerError
from finetune_portal.providers.fal import ADDRESSES, FalAdapter
from tests.fal.server import HTML, FakeFal
from tests.provider import says
from tests.providers.fal.conftest import failure


def test_a_good_key(fal: FakeFal, adapter: FalAdapter) -> None:
    adapter.check_key()
    assert [(request.method, request.path[-7:]) for request in fal.requests] == [("GET", "/status")]
    assert fal.jobs == []


def test_a_locked_account_and_a_wrong_address_are_other_things(fal: FakeFal, adapter: FalAdapter) -> None:
    fal.locked_on = {"status"}
    error = failure(adapter.check_key)
    assert type(error) is OutOfCreditsError
    assert "Exhausted balance" in error.message
    fal.locked_on = ()
    fal.script("status", says(404, HTML))
    assert type(failure(adapter.check_key)) is ServerError


def test_the_addresses_are_those_of_fal() -> None:
    assert ADDRESSES == {
        "queue": "https://queue.fal.run",
        "rest": "https://rest.fal.ai",
        "cdn": "https://v3.fal.media",
        "api": "https://api.fal.ai/v1",
    }
