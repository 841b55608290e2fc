"""What the policy of the pages refuses, a real browser tells."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.e2e.conftest import Portal
from tests.e2e.whole.conftest import PROVOKED
from tests.waiting import until


@pytest.mark.browser
@pytest.mark.long
def test_what_the_policy_refuses_reaches_the_log(portal: Portal, browser: Browser) -> None:
    """H3: so that the silence of the other pages, checked by the fixture, means something."""
    page = browser.new_page()
    page.goto(f"{portal.url}/login/{PROVOKED}")
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.broken = true";
          document.body.append(script);
        }"""
    )
    assert page.evaluate("window.broken") is None
    until(lambda: any(PROVOKED in each for each in portal.reports()), why="it was reported")
    page.close()
