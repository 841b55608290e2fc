"""GET /settings/ and POST /settings/test/"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.jobs.models import Connection
from tests.people import HTMX, signed_in
from tests.running import RunningEngine
from tests.worker.driving import point_at, point_nowhere, text_of

URL = "/settings/test/"


@pytest.fixture(autouse=True)
def upstream(engine: RunningEngine, settings: Any) -> None:
    point_at(settings, engine)


def test_it_proves_the_key_and_shows_the_balance(dana: User) -> None:
    html = signed_in(dana).post(URL, headers=HTMX).content.decode()
    assert html.lstrip().startswith('<section id="connection"')
    assert "The connection works. The account holds" in html
    assert AuditEvent.objects.get().action == "connection.test"
    credits = Connection.objects.get().credits
    assert credits
    assert f"{credits:.2f} credits" in text_of(signed_in(dana), "/settings/")


def test_a_connection_that_works_again_takes_every_warning_away(dana: User) -> None:
    Connection.objects.create(
        pk=1,
        key_refused=True,
        is_closed=True,
        failing_since=now() - timedelta(hours=1),
        failure="It is broken.",
        due=now() + timedelta(minutes=5),
    )
    client = signed_in(dana)
    assert "It is broken." in text_of(client)
    client.post(URL)
    html = text_of(client)
    assert "It is broken." not in html
    assert "The states shown are those of" not in html
    assert Connection.objects.get().due <= now(), "the worker looks at once"


def test_without_htmx_it_leads_back_to_the_page(dana: User) -> None:
    assert signed_in(dana).post(URL).headers["Location"] == "/settings/"


def test_a_dead_upstream_is_told_and_changes_nothing(dana: User, settings: Any) -> None:
    point_nowhere(settings)
    html = signed_in(dana).post(URL, headers=HTMX).content.decode()
    assert "The upstream cannot be reached." in html
    assert not Connection.objects.exists()
    assert not AuditEvent.objects.exists()


def test_a_wrong_key_is_told(dana: User, settings: Any) -> None:
    settings.SEGMIND_API_KEY = "not-the-key-0000"
    html = signed_in(dana).post(URL, headers=HTMX).content.decode()
    assert "The upstream does not accept the API key." in html
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("name", ["alice", "charlie"])
def test_others_look_but_do_not_test(name: str, request: pytest.FixtureRequest) -> None:
    client = signed_in(request.getfixturevalue(name))
    assert client.post(URL).status_code == 403
    assert URL not in text_of(client, "/settings/")
    assert not AuditEvent.objects.exists()


def test_it_refuses_get_and_strangers(client: Client, dana: User) -> None:
    assert signed_in(dana).get(URL).status_code == 405
    assert client.post(URL).headers["Location"].startswith("/login/")
    assert not AuditEvent.objects.exists()


def test_no_page_shows_more_of_the_key_than_its_end(dana: User, engine: RunningEngine) -> None:
    """K6"""
    html = text_of(signed_in(dana), "/settings/")
    assert f"…{engine.key[-4:]}" in html
    assert engine.key[:-4] not in html


def test_without_a_key_every_page_says_so(charlie: User, client: Client, settings: Any) -> None:
    settings.SEGMIND_API_KEY = ""
    assert "No API key is set" in text_of(signed_in(charlie))
    assert "No API key is set" not in text_of(client, "/login/"), "strangers learn nothing"
