"""Word of a finished training: in the browser that looked away, and as a message to a channel."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.e2e.conftest import write_sample

pytestmark = pytest.mark.browser
TRAINING = 120_000
# A Chromium without a window has no notifications and never looks away: both are noted and played here.
PLAYED = """
window.notified = [];
window.Notification = class extends EventTarget {
  static permission = "granted";
  constructor(title, options) { super(); window.notified.push([title, options.tag]); }
};
Object.defineProperty(document, "hidden", { get: () => sessionStorage.away === "yes" });
"""


def train(page: Page, name: str, folder: Path) -> str:
    """Start a training and be back at the table; answers the path of its page."""
    path = folder / "night.zip"
    write_sample(path)
    page.goto("/jobs/new/")
    page.get_by_label("ZIP file").set_input_files(path)
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Prompt").fill("turn day into night")
    expect(page.locator("#dataset-status")).to_contain_text("Ready to train")
    page.get_by_role("button", name="Start job").click()
    page.wait_for_url(re.compile(r"/jobs/\d+/"))
    address = page.url
    page.goto("/")
    return re.sub(r"https?://[^/]+", "", address)


def ready(page: Page, name: str) -> None:
    row = page.locator("#job-table tr", has_text=name)
    expect(row.locator(".badge")).to_contain_text("Ready", timeout=TRAINING)


def test_a_tab_that_nobody_looks_at_tells(signed_in: Page, tmp_path: Path) -> None:
    page = signed_in
    page.add_init_script(PLAYED)
    page.goto("/settings/notices/")
    switch = page.get_by_role("switch", name="Show notifications")
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "true")

    train(page, "Watched", tmp_path)
    ready(page, "Watched")
    assert page.evaluate("notified") == [], "someone is looking"

    page.evaluate("sessionStorage.away = 'yes'")
    path = train(page, "Unwatched", tmp_path)
    ready(page, "Unwatched")
    assert page.evaluate("notified") == [["“Unwatched” is ready", path]]


FLIP = """(badge) => {
  const hearsay = badge.cloneNode(true);
  Object.assign(hearsay.dataset, { job: "/jobs/0/", owner: "0", name: "Theirs", state: "training" });
  document.body.append(hearsay);
  return new Promise((done) => setTimeout(() => {
    hearsay.dataset.state = "failed";
    setTimeout(() => { hearsay.remove(); done(window.notified); });
  }));
}"""


def test_the_trainings_of_others_only_when_asked_for(signed_in: Page, tmp_path: Path) -> None:
    page = signed_in
    page.add_init_script(PLAYED)
    page.evaluate("sessionStorage.away = 'yes'")
    train(page, "Mine", tmp_path)
    badge = page.locator("#job-table .badge").first
    page.goto("/")
    expect(badge).to_contain_text("Ready")
    page.goto("/settings/notices/")
    page.get_by_role("switch", name="Show notifications").click()
    page.goto("/")
    assert badge.evaluate(FLIP) == []
    page.goto("/settings/notices/")
    page.get_by_role("switch", name="Also for other people’s jobs").click()
    page.goto("/")
    assert badge.evaluate(FLIP) == [["“Theirs” failed", "/jobs/0/"]]
    page.goto("/settings/notices/")
    page.get_by_role("switch", name="Show notifications").click()
    page.goto("/")
    assert badge.evaluate(FLIP) == []


def test_a_browser_that_says_no_is_told_what_to_do(signed_in: Page) -> None:
    page = signed_in
    page.add_init_script("Object.defineProperty(Notification, 'permission', { get: () => 'denied' })")
    page.goto("/settings/notices/")
    expect(page.get_by_text("This browser blocks them.")).to_be_visible()
    expect(page.get_by_role("switch", name="Show notifications")).to_be_hidden()


def test_a_page_by_plain_http_says_why_it_cannot(signed_in: Page) -> None:
    page = signed_in
    page.add_init_script("Object.defineProperty(window, 'isSecureContext', { get: () => false })")
    page.goto("/settings/notices/")
    expect(page.get_by_text("Browsers allow this only over https")).to_be_visible()


def test_a_channel_from_its_address_to_a_failure_that_is_seen(signed_in: Page) -> None:
    page = signed_in
    page.goto("/settings/notices/")
    page.get_by_label("Where to").fill("json://127.0.0.1:1/hook")
    page.get_by_label("Name", exact=True).fill("#inside")
    page.get_by_role("button", name="Add and send a test").click()
    card = page.locator(".channel", has_text="#inside")
    expect(card).to_contain_text("This address is inside a private network.")
    assert Axe().run(page).violations_count == 0
    card.get_by_role("switch", name="Failed").click()
    expect(card.get_by_role("switch", name="Failed")).to_have_attribute("aria-checked", "false")
    with page.expect_response("**/state/"):
        card.get_by_role("button", name="Send a test").click()
    expect(card).to_contain_text("Not delivered")
    card.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("#inside was deleted.")).to_be_visible()
    expect(card).to_have_count(0)
