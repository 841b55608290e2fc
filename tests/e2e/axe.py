"""Accessibility as axe sees it, and pages that are too wide."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import axe_playwright_python
from playwright.sync_api import Page

from tests.waiting import until

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OF_COLOURS = ["color-contrast", "link-in-text-block"]
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
STILL = "document.getAnimations().every(each => !(each instanceof CSSTransition))"
# Of what holds only a count is asked for: most of the work would be to describe it.
RUN = """async (rules) => {
    const { violations } = await axe.run({ runOnly: rules, resultTypes: ["violations"] });
    return violations.flatMap(({ id, nodes }) => nodes.map(
        ({ html, failureSummary }) => `${id}: ${html.slice(0, 90)} ${failureSummary}`));
}"""


@cache
def script() -> str:
    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()


def fit(page: Page, address: str) -> None:
    """Asked for a while: right after a new size the browser has not asked all media queries again."""
    until(lambda: bool(page.evaluate(FITS)), why=f"{address} does not scroll sideways")


def faults(page: Page, rules: list[str] = RULES) -> list[str]:
    until(lambda: bool(page.evaluate(STILL)), why="no colour is on its way to another")
    if not page.evaluate("'axe' in window"):
        page.evaluate(script())
    return list(page.evaluate(RUN, rules))
