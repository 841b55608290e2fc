"""A security key in a real browser: added on the profile, asked for at the next sign-in, removed again."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from finetune_portal.accounts.models import User
from tests.e2e.conftest import EMAIL, PASSWORD, Visitor, enter, just_entered
from tests.web_server import WebServer

pytestmark = [pytest.mark.browser, pytest.mark.long]
TOUCHED = {
    "protocol": "ctap2",
    "transport": "usb",
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


def test_a_key_is_added_asked_for_and_removed(visitor: Visitor, web: WebServer, admin: User) -> None:
    """By the name of the host: keys do not work at a bare number."""
    page = visitor(web.url.replace("127.0.0.1", "localhost"))
    devices = page.context.new_cdp_session(page)
    devices.send("WebAuthn.enable")
    key = devices.send("WebAuthn.addVirtualAuthenticator", {"options": TOUCHED})["authenticatorId"]
    enter(page)
    page.goto("/profile/second-factor/")
    page.get_by_role("link", name="Add key").click()
    page.get_by_label("Name").fill("My stick")
    page.get_by_role("button", name="Add key").click()
    expect(page.get_by_role("heading", name="Your recovery codes")).to_be_visible()
    expect(page.locator("code")).to_contain_text("\n")
    page.get_by_role("link", name="I have saved them").click()
    expect(page.get_by_text("My stick")).to_be_visible()

    page.context.clear_cookies()
    page.goto("/login/?next=/datasets/")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/login/second-factor/**")
    devices.send("WebAuthn.setUserVerified", {"authenticatorId": key, "isUserVerified": True})
    page.get_by_role("button", name="Use a security key").click()
    page.wait_for_url("**/datasets/")

    page.goto("/profile/second-factor/")
    page.get_by_role("link", name="Remove").click()
    page.get_by_role("button", name="Remove").click()
    page.wait_for_url(re.compile("/profile/second-factor/(keys/)?$"))  # the page before names no key either
    expect(page.get_by_text("My stick")).to_have_count(0)
    page.context.clear_cookies()
    enter(page)
    expect(page.get_by_role("heading", name="Jobs")).to_be_visible()


def test_at_a_bare_number_the_page_says_why_not(visitor: Visitor, web: WebServer, admin: User) -> None:
    page = visitor(web.url, just_entered(admin))
    page.goto("/profile/second-factor/keys/add/")
    expect(page.get_by_text("Security keys need JavaScript")).to_be_visible()
    expect(page.get_by_role("button", name="Add key")).to_have_count(0)
