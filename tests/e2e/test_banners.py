"""The banners leave a phone's screen to the page: two lines each, and the rest on request."""

from __future__ import annotations

import pytest
from django.utils.timezone import now
from playwright.sync_api import Page

from finetune_portal.connections.models import Connection
from tests.waiting import until

pytestmark = pytest.mark.browser
LINES = "(text) => Math.round(text.clientHeight / parseFloat(getComputedStyle(text).lineHeight))"
IS_CUT = "(text) => text.scrollHeight > text.clientHeight"


def test_a_banner_has_two_lines_on_a_phone_until_it_is_opened(page: Page) -> None:
    reason = "The provider takes no new jobs. It says: “Fine-tuning is deprecated, and ends this year.”"
    closed = {"is_training_closed": True, "closed_reason": reason, "closed_at": now()}
    for name in ("Studio", "Lab"):
        Connection.objects.create(name=name, base_url=f"https://{name}.example", encrypted_key="x", **closed)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto("/jobs/new/")
    texts = page.locator("#banners p")
    assert [text.evaluate(LINES) for text in texts.all()] == [2, 2]
    page.get_by_text("More", exact=True).first.click()
    until(lambda: not texts.first.evaluate(IS_CUT), why="the whole text is shown")
    assert texts.last.evaluate(IS_CUT)
    page.set_viewport_size({"width": 1280, "height": 900})
    until(lambda: not texts.last.evaluate(IS_CUT), why="a wide screen shows all of it")
    assert page.get_by_text("More", exact=True).first.is_hidden()
