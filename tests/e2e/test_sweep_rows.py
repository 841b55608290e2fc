"""The row of a sweep: unfolded by keyboard, selected as a whole, live."""

from __future__ import annotations

import uuid

import pytest
from playwright.sync_api import Page, expect

from finetune_portal.accounts.models import User
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job, Training
from finetune_portal.jobs.timeline import Source, move
from tests.people import make_job

pytestmark = pytest.mark.browser


@pytest.fixture
def jobs(page: Page, admin: User) -> list[Job]:
    """The table of a sweep of three numbers of steps, and another job."""
    shared = {"name": "Six moons", "sweep": uuid.uuid4(), "sweep_axes": ["steps"], "learning_rate": 0.0001}
    jobs = [make_job(admin, State.TRAINING, steps=steps, **shared) for steps in (200, 300, 500)]
    make_job(admin, State.READY, name="Another")
    page.goto("/")
    expect(page.locator("#live")).to_have_attribute("data-link", "live")
    return jobs


def test_a_sweep_unfolds_stays_live_and_folds_again(page: Page, admin: User, jobs: list[Job]) -> None:
    rows, button = page.locator("#job-table tbody tr"), page.get_by_role("button", name="Six moons 3 jobs")
    expect(rows).to_have_count(2)
    for key in ("j", "j", "Enter"):
        page.keyboard.press(key)
    expect(button).to_have_attribute("aria-expanded", "true")
    expect(button).to_be_focused()
    labels = page.locator("#job-table tbody [data-under-sweep] a .number")
    expect(labels).to_have_text(["200 steps", "300 steps", "500 steps"])
    move(jobs[0], State.READY, "Ready", source=Source.POLL)
    expect(page.get_by_text("1 of 3 done")).to_be_visible()
    first = page.locator(f"#job-{jobs[0].pk}")
    expect(first).to_contain_text("Ready")
    Training.objects.create(job=jobs[1], percent=40)
    expect(page.locator(f"#job-{jobs[1].pk}")).to_contain_text("40 %")
    expect(page.locator("#job-table [data-under-sweep]")).to_have_count(3)
    first.get_by_role("button", name="Best of the sweep").click()
    expect(first.get_by_role("button", name="Best of the sweep")).to_have_attribute("aria-pressed", "true")
    expect(rows.nth(1).get_by_role("link", name="Best of the sweep: 200 steps")).to_be_visible()
    page.reload()
    expect(labels).to_have_count(3)
    new = make_job(admin, State.QUEUED, name="New")
    expect(rows.first).to_have_id(f"job-{new.pk}")
    button.click()
    expect(rows).to_have_count(3)
    expect(button).to_have_attribute("aria-expanded", "false")
    move(jobs[1], State.READY, "Ready", source=Source.POLL)
    expect(page.get_by_text("2 of 3 done")).to_be_visible()
    expect(rows).to_have_count(3)


def test_the_selection_of_a_sweep_goes_with_it(page: Page, jobs: list[Job]) -> None:
    whole, button = page.get_by_role("checkbox", name="Select the 3 jobs"), page.get_by_text("Six moons")
    whole.check()
    expect(page.get_by_text("3 selected")).to_be_visible()
    button.first.click()
    boxes = page.locator("[data-under-sweep] [name=job]")
    expect(boxes).to_have_count(3)
    expect(page.get_by_text("3 selected")).to_be_visible()
    boxes.first.uncheck()
    expect(page.get_by_text("2 selected")).to_be_visible()
    button.first.click()
    expect(boxes).to_have_count(0)
    expect(page.get_by_text("2 selected")).to_be_visible()
    assert whole.evaluate("(box) => box.indeterminate")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Compare 2 jobs")
    page.go_back()
    expect(page.get_by_text("2 selected")).to_be_visible()
    whole.check()
    page.get_by_role("button", name="Archive", exact=True).click()
    expect(page.locator("#messages")).to_contain_text("3 archived")
    expect(page.locator("#job-table tbody tr")).to_have_count(1)


def test_more_jobs_than_an_action_takes_are_said_beside_their_number(page: Page, admin: User) -> None:
    shared = {"name": "Many moons", "sweep": uuid.uuid4(), "sweep_axes": ["steps"]}
    for steps in range(200, 251):
        make_job(admin, State.READY, steps=steps, **shared)
    page.goto("/")
    page.get_by_label("Select all jobs on this page").check()
    expect(page.get_by_text("51 selected, at most 50 at a time")).to_be_visible()
    archive = page.get_by_role("button", name="Archive", exact=True)
    expect(archive).to_be_disabled()
    archive.evaluate("(button) => button.form.requestSubmit()")  # as a page of an older script would
    expect(page.locator("#messages")).to_contain_text("Nothing was done")
    expect(page.get_by_text("51 selected")).to_be_visible()
