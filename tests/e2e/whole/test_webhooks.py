"""The webhooks page as an admin meets it: make an address, test it, see what comes appear by itself."""

from __future__ import annotations

import pytest
import requests
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.long]


def test_an_address_is_made_tested_and_used(signed_in: Page) -> None:
    page = signed_in
    page.goto("/settings/")
    page.get_by_role("link", name="Webhooks").click()
    page.get_by_role("button", name="Send a sample").click()
    expect(page.locator("#self-test")).to_contain_text("Received after")
    page.get_by_role("button", name="Create an address").click()
    address = page.locator(".new-address code").inner_text()
    page.goto("/settings/webhooks/deliveries/")
    for event in ("FIRST", "SECOND"):
        assert requests.post(address, json={"status": event}, timeout=30).status_code == 200
        row = page.get_by_role("row").filter(has_text=event)
        expect(row).to_contain_text("It names no job of the portal")
    page.reload()
    page.locator("summary", has_text="Any event").click()
    page.get_by_role("link", name="SECOND", exact=True).click()
    expect(page.get_by_role("row").filter(has_text="FIRST")).to_have_count(0)
    page.goto("/settings/webhooks/")
    page.get_by_role("button", name="Create a new address").click()
    page.get_by_role("button", name="Create address").click()
    expect(page.get_by_text("Previous")).to_be_visible()
    assert page.locator(".new-address code").inner_text() != address
    assert requests.post(address, json={}, timeout=30).status_code == 200, "for another day"
