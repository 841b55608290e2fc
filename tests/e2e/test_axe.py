"""No page has an accessibility fault that axe can see, nor scrolls sideways on a phone."""

from __future__ import annotations

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.conftest import write_sample
from tests.waiting import until

pytestmark = pytest.mark.browser
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
OF_COLOURS = ["color-contrast", "link-in-text-block"]
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
STILL = "document.getAnimations().every(each => !(each instanceof CSSTransition))"


def fit(page: Page, address: str) -> None:
    """Asked for a while: right after a new size the browser has not asked all media queries again."""
    until(lambda: bool(page.evaluate(FITS)), why=f"{address} does not scroll sideways")


def faults(page: Page, rules: list[str] = RULES) -> list[str]:
    until(lambda: bool(page.evaluate(STILL)), why="no colour is on its way to another")
    violations = Axe().run(page, options={"runOnly": rules}).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:90]} {node['failureSummary']}"
        for rule in violations
        for node in rule["nodes"]
    ]


def look(page: Page, address: str) -> None:
    """Once whole, and again in the dark for what depends on colours."""
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.goto(address)
    page.wait_for_load_state("load")
    assert faults(page) == [], address
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    assert faults(page, OF_COLOURS) == [], f"{address}, dark"
    page.set_viewport_size({"width": 390, "height": 844})
    fit(page, address)
    page.set_viewport_size({"width": 1280, "height": 900})


def test_pages_before_sign_in(page: Page) -> None:
    for address in ("/login/", "/setup/gone/", "/password/MQ/gone/"):
        look(page, address)


def test_pages_after_sign_in(signed_in: Page, tmp_path: Path) -> None:
    page = signed_in
    path = tmp_path / "evenings.zip"
    write_sample(path)
    page.goto("/jobs/new/")
    page.get_by_label("Choose files: a ZIP").set_input_files(path)
    expect(page.locator("#dataset-status")).to_contain_text("Ready to train")
    dataset = page.get_by_role("combobox", name="Dataset").input_value()
    page.get_by_label("Name", exact=True).fill("For the eyes of axe")
    page.get_by_label("Prompt").fill("turn day into night")
    page.get_by_role("button", name="Start job").click()
    expect(page.locator("#job .badge").first).to_contain_text("Ready")
    job = page.url
    for address in (
        "/",
        "/?q=nothing",
        "/?by=1&public=off&sort=name",
        "/jobs/compare/",
        "/jobs/compare/?job=1&job=2",
        job,
        "/jobs/new/",
        f"/jobs/new/?dataset={dataset}",
        "/datasets/",
        f"/datasets/{dataset}/",
        f"/datasets/{dataset}/pairs/0/",
        f"/datasets/{dataset}/captions/",
        "/settings/",
        "/settings/limits/",
        "/settings/webhooks/",
        "/settings/webhooks/deliveries/",
        "/settings/webhooks/deliveries/?event=none",
        "/settings/notices/",
        "/audit/",
        "/tokens/",
        "/api/",
        "/team/",
        "/team/1/",
        "/profile/",
        "/profile/password/",
        "/profile/second-factor/",
        "/profile/second-factor/app/",
        "/profile/second-factor/keys/add/",
        "/nowhere/",
    ):
        look(page, address)
