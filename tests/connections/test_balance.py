"""What the account holds, in the top bar of every page."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from finetune_portal.accounts.models import User
from finetune_portal.connections import services
from finetune_portal.connections.models import Connection
from tests.people import signed_in
from tests.provider import ScriptedProvider
from tests.worker.driving import follow_now, point_at


@pytest.fixture(autouse=True)
def a_provider_with_a_price(settings: Any) -> None:
    settings.LOCAL_ENGINE = False


def shown(user: User) -> str:
    """The words in the top bar, or nothing."""
    html = signed_in(user).get("/datasets/").content.decode()
    match = re.search(r'<a class="balance.*?</a>', html, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", match[0]).split()) if match else ""


def holds(credits: float | None, **fields: Any) -> None:
    Connection.objects.filter(pk=services.built_in().pk).update(credits=credits, **fields)


@pytest.mark.parametrize(
    ("credits", "words"),
    [
        (128, "128 credits"),
        (1234.56, "1,234.56 credits"),
        (999.25, "999.25 credits"),
        (999.999, "999.99 credits"),
        (42.5, "42.50 credits"),
        (10, "10 credits"),
        (9.9, "Only 9.90 credits left"),
        (0, "Only 0 credits left"),
        (None, ""),
    ],
)
def test_it_says_what_the_account_holds(alice: User, credits: float | None, words: str) -> None:
    holds(credits)
    assert shown(alice) == words


def test_who_cannot_train_is_not_told(dana: User, alice: User, charlie: User) -> None:
    holds(128)
    assert [bool(shown(user)) for user in (dana, alice, charlie)] == [True, True, False]


def test_of_several_it_is_the_one_that_is_used_when_nobody_chooses(dana: User) -> None:
    holds(128)
    own = services.add(name="Second", base_url="https://api.segmind.com", key="k" * 20, actor=dana)
    Connection.objects.filter(pk=own.pk).update(credits=7)
    assert shown(dana) == "128 credits"
    services.make_default(own, actor=dana)
    assert shown(dana) == "Only 7 credits left"
    assert "7 credits at Second" in re.sub(r"<[^>]+>", "", signed_in(dana).get("/datasets/").content.decode())


def test_the_worker_learns_it_and_no_page_asks(dana: User, settings: Any) -> None:
    with ScriptedProvider() as provider:
        point_at(settings, provider)
        follow_now()
        asked = len(provider.requests)
        client = signed_in(dana)
        client.get("/datasets/")
        with CaptureQueriesContext(connection) as with_credits:
            assert "1,000" in client.get("/datasets/").content.decode()
        assert len(provider.requests) == asked
    holds(None)
    with CaptureQueriesContext(connection) as without:
        client.get("/datasets/")
    assert len(with_credits) == len(without)
