"""Word of a finished training in the browser that looked away."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from finetune_portal.accounts.models import User
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from tests.e2e.live.looking import badge, is_moved
from tests.people import make_job
from tests.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.long]
# A Chromium without a window has no notifications and never looks away: both are noted and played here.
PLAYED = """
window.notified = [];
window.Notification = class extends EventTarget {
  static permission = "granted";
  constructor(title, options) { super(); window.notified.push([title, options.tag]); }
};
Object.defineProperty(document, "hidden", { get: () => sessionStorage.away === "yes" });
"""


def test_a_tab_that_nobody_looks_at_tells(page: Page, admin: User) -> None:
    page.add_init_script(PLAYED)
    page.goto("/settings/notices/")
    switch = page.get_by_role("switch", name="Show notifications")
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "true")

    page.goto("/")
    get_ready(page, make_job(admin, State.TRAINING, name="Watched"))
    assert page.evaluate("notified") == [], "someone is looking"

    page.evaluate("sessionStorage.away = 'yes'")
    page.goto("/")
    get_ready(page, job := make_job(admin, State.TRAINING, name="Unwatched"))
    wanted = [["“Unwatched” is ready", f"/jobs/{job.pk}/"]]
    until(lambda: page.evaluate("notified") == wanted, why="the browser is told")


def get_ready(page: Page, job: Job) -> None:
    """Have the table follow the job to its end."""
    badge(page, job, State.TRAINING.label)
    is_moved(job, State.READY)
    badge(page, job, State.READY.label)


FLIP = """(badge, state) => {
  const hearsay = badge.cloneNode(true);
  Object.assign(hearsay.dataset, { job: "/jobs/0/", owner: "0", name: "Theirs", state: "training" });
  document.body.append(hearsay);
  return new Promise((done) => setTimeout(() => {
    hearsay.toggleAttribute("data-cancelled", state === "cancelled");
    hearsay.dataset.state = state === "cancelled" ? "failed" : state;
    setTimeout(() => { hearsay.remove(); done(window.notified); });
  }));
}"""


def test_the_trainings_of_others_only_when_asked_for(page: Page, admin: User) -> None:
    make_job(admin, State.READY)
    page.add_init_script(PLAYED)
    page.goto("/")
    page.evaluate("sessionStorage.away = 'yes'")
    theirs = page.locator("#job-table .badge").first
    turn(page, "Show notifications", "true")
    page.goto("/")
    assert theirs.evaluate(FLIP, "failed") == []
    turn(page, "Also for other people’s jobs", "true")
    page.goto("/")
    for state, words in (("failed", "failed"), ("refused", "was refused"), ("cancelled", "was cancelled")):
        assert theirs.evaluate(FLIP, state)[-1] == [f"“Theirs” {words}", "/jobs/0/"]
    turn(page, "Show notifications", "false")
    page.goto("/")
    assert theirs.evaluate(FLIP, "failed") == []


def turn(page: Page, name: str, state: str) -> None:
    page.goto("/settings/notices/")
    page.get_by_role("switch", name=name).click()
    expect(page.get_by_role("switch", name=name)).to_have_attribute("aria-checked", state)


def test_a_browser_that_says_no_is_told_what_to_do(page: Page) -> None:
    page.add_init_script("Object.defineProperty(Notification, 'permission', { get: () => 'denied' })")
    page.goto("/settings/notices/")
    expect(page.get_by_text("This browser blocks them.")).to_be_visible()
    expect(page.get_by_role("switch", name="Show notifications")).to_be_hidden()


def test_a_page_by_plain_http_says_why_it_cannot(page: Page) -> None:
    page.add_init_script("Object.defineProperty(window, 'isSecureContext', { get: () => false })")
    page.goto("/settings/notices/")
    expect(page.get_by_text("Browsers allow this only over https")).to_be_visible()
