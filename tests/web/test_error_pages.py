"""Error pages: a title, a sentence and a way back; who is signed in keeps the bar of the portal."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client, RequestFactory
from django.urls import clear_script_prefix, set_script_prefix

from finetune_portal.accounts.models import User
from finetune_portal.web.http import failure
from finetune_portal.web.views import server_error
from tests.people import signed_in


def test_an_unknown_address_is_not_found(alice: User) -> None:
    response = signed_in(alice).get("/nowhere/")
    assert response.status_code == 404
    assert_error_page(response.content.decode(), "Not found")
    assert "topbar" in response.content.decode()


def test_a_stranger_gets_nothing_of_the_portal_with_it(client: Client, db: None) -> None:
    html = client.get("/nowhere/").content.decode()
    assert_error_page(html, "Not found")
    assert "topbar" not in html


def test_without_the_second_factor_that_is_required_nothing_of_it_either(alice: User, settings: Any) -> None:
    client = signed_in(alice)
    settings.REQUIRE_SECOND_FACTOR = True
    html = client.get("/nowhere/").content.decode()
    assert_error_page(html, "Not found")
    assert "topbar" not in html


def test_below_a_path_they_lead_back_to_the_portal(client: Client, db: None) -> None:
    set_script_prefix("/training/")  # as PORTAL_URL does
    try:
        html = client.get("/nowhere/").content.decode()
    finally:
        clear_script_prefix()
    assert 'href="/training/">Back to jobs</a>' in html


def test_a_page_for_admins_says_that_a_maker_has_no_access(alice: User) -> None:
    response = signed_in(alice).get("/audit/")
    assert response.status_code == 403
    html = response.content.decode()
    assert_error_page(html, "You do not have access")
    assert "Only admins can do this." in html


def test_an_unknown_host_is_a_bad_request(client: Client) -> None:
    response = client.get("/login/", headers={"Host": "elsewhere.example"})
    assert response.status_code == 400
    assert_error_page(response.content.decode(), "Request not understood")


@pytest.mark.parametrize(
    ("origin", "sentence"),
    [
        ("null", "hid from which page this form came (“Origin: null”)"),
        ("https://elsewhere.example", "open for too long, or it came from another site"),
    ],
)
def test_a_form_without_a_known_origin_says_what_to_change(alice: User, origin: str, sentence: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    response = client.post("/profile/", {"name": "Alice"}, headers={"Origin": origin})
    assert response.status_code == 403
    html = response.content.decode()
    assert_error_page(html, "The form was not accepted")
    assert sentence in html
    assert ("Referrer-Policy: same-origin" in html) is (origin == "null")


@pytest.mark.parametrize(("method", "can_retry"), [("GET", True), ("POST", False)])
def test_a_page_that_failed_can_be_opened_again_and_a_form_is_not_sent_twice(
    rf: RequestFactory, method: str, can_retry: bool
) -> None:
    request = rf.generic(method, "/datasets/")
    for response in (failure(request, 503, "Busy."), failure(request, 507, "Full."), server_error(request)):
        assert ('href="">Try again</a>' in response.content.decode()) is can_retry, response.status_code


def assert_error_page(html: str, title: str) -> None:
    assert f"<title>{title} · Finetune Portal</title>" in html
    assert f"<h1>{title}</h1>" in html
    assert 'href="/">Back to jobs</a>' in html
