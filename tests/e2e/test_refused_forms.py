"""A form that is refused leads to its first bad field."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from finetune_portal.accounts.models import User
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
