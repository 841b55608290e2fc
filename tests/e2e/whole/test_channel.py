"""A channel of the team, from its address to a message that was not delivered."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.axe import faults

pytestmark = [pytest.mark.browser, pytest.mark.long]


def test_a_channel_from_its_address_to_a_failure_that_is_seen(signed_in: Page) -> None:
    page = signed_in
    page.goto("/settings/notices/")
    page.get_by_label("Where to").fill("json://127.0.0.1:1/hook")
    page.get_by_label("Name", exact=True).fill("#inside")
    page.get_by_role("button", name="Add channel").click()
    card = page.locator(".channel", has_text="#inside")
    expect(card).to_contain_text("This address is inside a private network.")
    assert faults(page) == []
    card.get_by_role("switch", name="Failed").click()
    expect(card.get_by_role("switch", name="Failed")).to_have_attribute("aria-checked", "false")
    with page.expect_response("**/state/"):
        card.get_by_role("button", name="Send a test").click()
    expect(card).to_contain_text("Not delivered")
    card.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("#inside was deleted.")).to_be_visible()
    expect(card).to_have_count(0)
