"""GET /settings/ and what admins do there: test, add, change the key, choose the default, switch off."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.connections import services
from finetune_portal.connections.models import Connection
from finetune_portal.web.templatetags.portal import credits_text
from tests.people import HTMX, signed_in
from tests.running import RunningEngine
from tests.worker.driving import point_at, point_nowhere, text_of

SECRET = "sk-planted-key-4711"
ACTIONS = ("test", "try-now", "key", "admin-key", "rename", "default", "switch")


def url(action: str, connection: Connection | None = None) -> str:
    return f"/settings/connections/{(connection or services.built_in()).pk}/{action}/"


def add(dana: User, engine: RunningEngine, **fields: str) -> Any:
    data = {"name": "Second account", "provider": engine.url, "key": engine.key, **fields}
    return signed_in(dana).post("/settings/connections/add/", data)


def own() -> Connection:
    return Connection.objects.get(kind="own")


@pytest.fixture(autouse=True)
def provider(db: None, engine: RunningEngine, settings: Any) -> None:
    point_at(settings, engine)
    services.built_in()
    Connection.objects.update(due_at=now())  # as if a worker had just looked
    settings.PROVIDER_URLS = ["https://api.segmind.com", engine.url]


def test_it_proves_the_key_and_shows_the_balance(dana: User, settings: Any) -> None:
    settings.LOCAL_ENGINE = False
    html = signed_in(dana).post(url("test"), headers=HTMX).content.decode()
    assert html.lstrip().startswith('<article id="connection-')
    assert "The key works. The balance is" in html
    assert AuditEvent.objects.get().action == "connection.test"
    credits = services.built_in().credits
    assert credits
    assert f"{credits_text(credits)} credits" in text_of(signed_in(dana), "/settings/")


def test_a_connection_that_works_again_takes_every_warning_away(dana: User) -> None:
    services.built_in()
    Connection.objects.update(
        is_key_rejected=True,
        failing_since=now() - timedelta(hours=1),
        failure="It is broken.",
        due_at=now() + timedelta(minutes=5),
    )
    client = signed_in(dana)
    assert "It is broken." in text_of(client)
    client.post(url("test"))
    html = text_of(client)
    assert "It is broken." not in html
    assert "The states shown are from" not in html
    assert Connection.objects.get().due_at <= now(), "the worker looks at once"


def test_without_htmx_it_leads_back_to_the_page(dana: User) -> None:
    assert signed_in(dana).post(url("test")).headers["Location"] == "/settings/"


def test_a_dead_provider_is_told_and_changes_nothing(dana: User, settings: Any) -> None:
    point_nowhere(settings)
    html = signed_in(dana).post(url("test"), headers=HTMX).content.decode()
    assert "The provider cannot be reached." in html
    assert Connection.objects.get().last_answer_at is None
    assert not AuditEvent.objects.exists()


def test_a_wrong_key_is_told(dana: User, settings: Any) -> None:
    settings.SEGMIND_API_KEY = "not-the-key-0000"
    html = signed_in(dana).post(url("test"), headers=HTMX).content.decode()
    assert "The provider does not accept the API key." in html
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("name", ["alice", "charlie"])
def test_others_look_but_do_nothing(name: str, request: pytest.FixtureRequest) -> None:
    client = signed_in(request.getfixturevalue(name))
    for action in ACTIONS:
        assert client.post(url(action)).status_code == 403
        assert url(action) not in text_of(client, "/settings/")
    assert client.post("/settings/connections/add/").status_code == 403
    assert not AuditEvent.objects.exists()
    assert Connection.objects.count() == 1


def test_no_page_shows_more_of_the_key_than_its_end(dana: User, engine: RunningEngine) -> None:
    """K6"""
    html = text_of(signed_in(dana), "/settings/")
    assert f"…{engine.key[-4:]}" in html
    assert engine.key[:-4] not in html


def test_without_a_key_every_page_says_so(charlie: User, client: Client, settings: Any) -> None:
    settings.SEGMIND_API_KEY = ""
    assert "No API key is set" in text_of(signed_in(charlie))
    assert "No API key is set" not in text_of(client, "/login/"), "strangers learn nothing"


def test_a_second_connection_is_added_and_proven(dana: User, engine: RunningEngine) -> None:
    html = text_of(signed_in(dana), add(dana, engine).headers["Location"])
    assert "Second account" in html
    assert own().credits is not None
    assert engine.key not in html
    assert engine.key not in own().encrypted_key
    assert own().last_four == engine.key[-4:]
    assert {event.action for event in AuditEvent.objects.all()} == {"connection.add", "connection.test"}
    assert engine.key not in str(list(AuditEvent.objects.values()))


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("name", "", "Enter a name, for example the account it belongs to."),
        ("name", "local ENGINE", "A connection with this name exists."),
        ("provider", "https://evil.example", "not on the operator"),
        ("provider", "http://169.254.169.254", "not on the operator"),
        ("key", "", "Paste the API key."),
        ("key", "two words here", "This is not an API key."),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_field(
    field: str, value: str, sentence: str, dana: User, engine: RunningEngine
) -> None:
    services.built_in()
    response = add(dana, engine, **{field: value})
    assert response.status_code == 422
    assert sentence in response.content.decode().replace("&#x27;", "'")
    assert not Connection.objects.filter(kind="own").exists()


def test_a_key_that_is_refused_is_never_shown_again(dana: User, engine: RunningEngine) -> None:
    response = add(dana, engine, name="", key=SECRET)
    assert SECRET not in response.content.decode()


def test_the_key_is_rotated(dana: User, engine: RunningEngine) -> None:
    add(dana, engine, key="an-old-key-0815")
    assert "does not accept the API key" in text_of(signed_in(dana), "/settings/") or own().credits is None
    response = signed_in(dana).post(url("key", own()), {"key": engine.key}, headers=HTMX)
    assert f"…{engine.key[-4:]}" in response.content.decode()
    assert "The key works." in signed_in(dana).post(url("test", own()), headers=HTMX).content.decode()
    detail = AuditEvent.objects.get(action="connection.key").detail
    assert detail == {"before": "…0815", "after": f"…{engine.key[-4:]}"}


def test_the_environment_wins_over_the_page(dana: User, settings: Any) -> None:
    assert "created for this machine" in text_of(signed_in(dana), "/settings/")
    settings.LOCAL_ENGINE = False
    assert "from the environment, which overrides this page" in text_of(signed_in(dana), "/settings/")
    html = signed_in(dana).post(url("key"), {"key": SECRET}, headers=HTMX).content.decode()
    assert "This key comes from the environment. Change it there." in html
    assert not Connection.objects.exclude(encrypted_key="").exists()


def test_a_bad_key_is_refused_in_its_card(dana: User, engine: RunningEngine) -> None:
    add(dana, engine)
    for headers in ({}, HTMX):
        response = signed_in(dana).post(url("key", own()), {"key": "short"}, headers=headers)
        assert response.status_code == 422
        assert "This is not an API key." in response.content.decode()


def test_a_lost_sealing_key_is_a_banner_and_no_crash(
    dana: User, engine: RunningEngine, settings: Any
) -> None:
    add(dana, engine)
    settings.ENCRYPTION_KEYS = ["another key than that of then"]
    html = signed_in(dana).post(url("test", own()), headers=HTMX).content.decode()
    assert "cannot be decrypted: the encryption key has changed" in html
    settings.ENCRYPTION_KEYS = []
    assert "The key works." in signed_in(dana).post(url("test", own()), headers=HTMX).content.decode()


def test_old_sealing_keys_still_open(dana: User, engine: RunningEngine, settings: Any) -> None:
    settings.ENCRYPTION_KEYS = ["the first"]
    add(dana, engine)
    settings.ENCRYPTION_KEYS = ["the second", "the first"]
    assert "The key works." in signed_in(dana).post(url("test", own()), headers=HTMX).content.decode()


def test_the_default_can_be_chosen_but_not_switched_off(dana: User, engine: RunningEngine) -> None:
    add(dana, engine)
    client = signed_in(dana)
    client.post(url("default", own()))
    assert services.default() == own()
    client.post(url("switch", own()))
    assert own().disabled_at is None
    client.post(url("default"))
    client.post(url("switch", own()))
    assert own().disabled_at is not None
    client.post(url("default", own()))
    assert services.default() == services.built_in(), "one that is off cannot be the default"
    client.post(url("switch", own()), {"on": "on"})
    assert own().disabled_at is None


def test_it_gets_another_name(dana: User, engine: RunningEngine) -> None:
    add(dana, engine)
    client = signed_in(dana)
    assert client.post(url("rename", own()), {"name": "Local engine"}, headers=HTMX).status_code == 422
    assert (
        "Studio account"
        in client.post(url("rename", own()), {"name": "Studio account"}, headers=HTMX).content.decode()
    )
    detail = AuditEvent.objects.get(action="connection.rename").detail
    assert detail == {"before": "Second account", "after": "Studio account"}


@pytest.mark.parametrize(("key", "is_odd"), [("SG_0123456789abcdef", False), ("sk-0123456789abcdef", True)])
def test_a_key_of_another_form_is_kept_with_a_warning(dana: User, key: str, is_odd: bool) -> None:
    """Its form is known from a third party only, so it is a hint at the field and refuses nothing."""
    other = services.add(
        name="Studio", base_url="https://api.segmind.com", key="SG_aaaaaaaaaaaaaaaa", actor=dana
    )
    client = signed_in(dana)
    assert "Segmind’s keys are SG_" in text_of(client, "/settings/")
    html = client.post(url("key", other), {"key": key}, headers=HTMX).content.decode()
    assert ("does not look like one of this provider" in html) is is_odd
    assert Connection.objects.get(pk=other.pk).last_four == key[-4:]
