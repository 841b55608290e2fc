"""A form that is refused leads to its first bad field, on every page."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from finetune_portal.accounts import services
from finetune_portal.accounts.models import User
from tests.e2e.conftest import Visitor, just_entered
from tests.e2e.failing import fill_form, start
from tests.web_server import WebServer

pytestmark = pytest.mark.browser


def test_a_refused_form_leads_to_its_first_bad_field(page: Page, web: WebServer, admin: User) -> None:
    fill_form(page, web, admin)
    page.get_by_label("Name", exact=True).fill("")
    page.get_by_label("Steps", exact=True).fill("many")
    start(page)
    expect(page.get_by_label("Name", exact=True)).to_be_focused()
    expect(page.get_by_label("Name", exact=True)).to_be_in_viewport()
    sentence = page.locator("#job-form [role=alert]").first
    expect(sentence).to_contain_text("Nothing is started yet. Check: Name, Steps.")
    sentence.get_by_role("link", name="Steps").click()
    expect(page.get_by_label("Steps", exact=True)).to_be_focused()


@pytest.mark.parametrize(
    ("path", "button", "typed"),
    [
        ("/settings/budgets/", "Add budget", {"Amount": "1.500"}),
        ("/settings/limits/", "Save", {"Jobs of the team per month": "2,500"}),
        ("/settings/", "Add and test", {"Name": "Second"}),
        ("/settings/projects/", "Add project", {}),
        ("/settings/notices/", "Add channel", {}),
        ("/tokens/", "Make token", {}),
        ("/profile/password/", "Change password", {"Current password": "not mine"}),
    ],
)
def test_every_form_of_the_settings_leads_to_it(
    visitor: Visitor, web: WebServer, admin: User, path: str, button: str, typed: dict[str, str]
) -> None:
    page = visitor(web.url, just_entered(admin))
    page.goto(path)
    press = page.get_by_role("button", name=button, exact=True)
    form = page.locator("main form", has=press).last
    form.evaluate("form => { form.noValidate = true; }")
    for label, value in typed.items():
        form.get_by_label(label, exact=True).fill(value)
    press.last.click()
    bad = page.locator("[aria-invalid=true]").first
    expect(bad).to_be_focused()
    expect(bad).to_be_in_viewport()


def test_the_form_that_creates_an_account_leads_to_it_too(
    visitor: Visitor, web: WebServer, admin: User
) -> None:
    """Its page is loaded by the browser itself, and begins at another field."""
    link = services.invite("maker", email="eve@example.com", actor=admin)
    page = visitor(web.url)
    page.goto(urlsplit(link).path)
    page.get_by_label("Your name").fill("Eve")
    page.get_by_label("Password").fill("short")
    page.get_by_role("button", name="Create account").click()
    expect(page.get_by_label("Password")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Password")).to_be_focused()
