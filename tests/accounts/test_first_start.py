"""The first admin: from a one-time link, or from the environment."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client
from django.utils.timezone import now

from finetune_portal.accounts import services
from finetune_portal.accounts.models import Invitation, User
from finetune_portal.audit.models import AuditEvent
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db
ADA = {"name": "Ada", "email": "Ada@Example.com", "password": PASSWORD}


def path_of(link: str | None) -> str:
    assert link
    return urlsplit(link).path


def test_the_link_makes_the_first_admin_and_signs_in(client: Client) -> None:
    link = path_of(services.first_admin_link())
    response = client.post(link, ADA)
    assert response.status_code == 302
    ada = User.objects.get()
    assert (ada.email, ada.role) == ("ada@example.com", "admin")
    assert client.get("/").status_code == 200
    assert [event.action for event in AuditEvent.objects.order_by("pk")] == [
        "account.created",
        "session.began",
    ]


def test_the_link_works_once(client: Client) -> None:
    link = path_of(services.first_admin_link())
    client.post(link, ADA)
    assert Client().post(link, {**ADA, "email": "eve@example.com"}).status_code == 410
    assert User.objects.count() == 1


def test_a_newer_link_ends_the_older(client: Client) -> None:
    old, new = path_of(services.first_admin_link()), path_of(services.first_admin_link())
    assert client.get(old).status_code == 410
    assert client.get(new).status_code == 200


def test_a_link_expires(client: Client) -> None:
    link = path_of(services.first_admin_link())
    Invitation.objects.update(expires_at=now() - timedelta(seconds=1))
    assert client.get(link).status_code == 410


def test_the_token_is_not_in_the_database() -> None:
    token = path_of(services.first_admin_link()).strip("/").split("/")[-1]
    assert token not in str(list(Invitation.objects.values()))


def test_no_link_once_somebody_is_there(alice: User) -> None:
    assert services.first_admin_link() is None


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("password", "short", "at least 12 characters"),
        ("password", "ada@example.com", "too similar"),
        ("email", "not an address", "valid email"),
        ("name", "", "required"),
    ],
)
def test_an_invalid_field_has_an_error_and_the_rest_stays(
    client: Client, field: str, value: str, sentence: str
) -> None:
    response = client.post(path_of(services.first_admin_link()), {**ADA, field: value})
    html = response.content.decode()
    assert response.status_code == 422
    assert sentence in html
    assert field == "name" or 'value="Ada"' in html
    assert PASSWORD not in html


def test_the_environment_can_name_the_first_admin(monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    monkeypatch.setenv("PORTAL_ADMIN_EMAIL", "ops@example.com")
    monkeypatch.setenv("PORTAL_ADMIN_PASSWORD", PASSWORD)
    assert services.first_admin_link() is None
    client.post("/login/", {"username": "OPS@example.com", "password": PASSWORD})
    assert client.get("/").status_code == 200


def test_an_unused_link_ends_with_the_first_account(monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    link = path_of(services.first_admin_link())
    monkeypatch.setenv("PORTAL_ADMIN_EMAIL", "ada@example.com")
    monkeypatch.setenv("PORTAL_ADMIN_PASSWORD", PASSWORD)
    assert services.first_admin_link() is None
    assert client.get(link).status_code == 410


@pytest.mark.parametrize(
    "password", ["Finetune-Portal-2026", "segmindkontext!!", "localhost-2026", "LoraLoraLora1"]
)
def test_words_of_the_portal_are_no_password(password: str, client: Client, settings: Any) -> None:
    settings.PORTAL_URL = "http://localhost:8000"
    answer = client.post(path_of(services.first_admin_link()), {**ADA, "password": password})
    assert answer.status_code == 422
    assert "Too easy to guess" in answer.content.decode()
    assert not User.objects.exists()


def test_a_word_of_the_portal_may_be_part_of_a_password(client: Client) -> None:
    link = path_of(services.first_admin_link())
    assert client.post(link, {**ADA, "password": "segmind horse battery"}).status_code == 302


def test_a_wrong_password_has_an_error_message(client: Client, alice: User) -> None:
    response = client.post("/login/", {"username": alice.email, "password": "no"})
    assert "do not belong together" in response.content.decode()


def test_without_a_session_the_sign_in_page_comes_first(client: Client) -> None:
    assert client.get("/").headers["Location"] == "/login/?next=/"


def test_a_fragment_without_a_session_redirects_the_whole_page(client: Client) -> None:
    headers = {"HX-Request": "true", "HX-Current-URL": "http://testserver/?mine=on"}
    response = client.get("/jobs/table/", headers=headers)
    assert response.status_code == 401
    assert response.headers["HX-Redirect"] == "/login/?next=%2F%3Fmine%3Don&ended=on"
