"""What a button cannot copy is selected."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from finetune_portal.accounts.models import User
from tests.web_server import WebServer

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("failure", ["missing", "refused"])
def test_what_cannot_be_copied_is_selected(page: Page, web: WebServer, admin: User, failure: str) -> None:
    """Over plain http there is no clipboard, and a policy may refuse it."""
    clipboard = "undefined" if failure == "missing" else "{ writeText: () => Promise.reject(new Error()) }"
    page.add_init_script(f"Object.defineProperty(navigator, 'clipboard', {{ value: {clipboard} }})")
    page.goto("/api/")
    snippet = page.locator(".snippet").first
    snippet.get_by_role("button", name="Copy").click()
    expect(snippet.get_by_role("button")).to_have_text("Press Ctrl+C")
    assert page.evaluate("getSelection().toString()").strip() == snippet.locator("code").inner_text().strip()
