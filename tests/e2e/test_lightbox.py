"""Pictures of the job page in the whole window: by mouse and keyboard, and before they are made."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from finetune_portal.accounts.models import User
from finetune_portal.datasets import previews
from finetune_portal.jobs.models import Job, Training
from finetune_portal.playground import results
from tests.e2e.axe import faults
from tests.people import make_dataset, make_generation, make_job, make_samples, signed_in
from tests.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.long]


@pytest.fixture
def job(admin: User) -> Job:
    """A ready one with two results, whose previews are made, and samples."""
    job = make_job(admin, "ready", dataset=make_dataset(admin))
    make_samples(job, "control", "target", "20", "40")
    Training.objects.create(job=job, samples=[20, 40], losses=[[1, 0.5], [40, 0.3]], is_over=True)
    for _ in range(2):
        generation = make_generation(job)
        for edge in results.EDGES:
            results.request_preview(generation, edge)
    while previews.make_next():
        pass
    return job


def test_the_arrows_lead_through_the_pictures_and_escape_leads_back(page: Page, job: Job) -> None:
    page.goto(f"/jobs/{job.pk}/")
    first = page.locator("#results a[data-lightbox]").first
    first.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Picture")
    after = dialog.locator("img").first
    expect(dialog.get_by_text("1 of 2")).to_be_visible()
    expect(after).to_have_attribute("src", first.get_attribute("href") or "")
    assert faults(page) == []
    page.keyboard.press("ArrowRight")
    expect(dialog.get_by_text("2 of 2")).to_be_visible()
    second = page.locator("#results a[data-lightbox]").nth(1)
    expect(after).to_have_attribute("src", second.get_attribute("href") or "")
    slider = dialog.get_by_role("slider")
    slider.focus()
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_value("51")
    expect(dialog.get_by_text("2 of 2")).to_be_visible()
    dialog.get_by_role("button", name="Next").click()
    expect(dialog.get_by_text("1 of 2")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(first).to_be_focused()


def test_a_picture_without_one_before_has_no_slider(page: Page, job: Job) -> None:
    page.goto(f"/jobs/{job.pk}/")
    page.locator("#samples a").first.click()
    dialog = page.get_by_role("dialog", name="Picture")
    expect(dialog.get_by_text("1 of 4")).to_be_visible()
    expect(dialog.get_by_role("slider")).to_be_hidden()
    page.keyboard.press("ArrowRight")
    expect(dialog.get_by_role("slider")).to_be_visible()
    expect(dialog.get_by_role("status")).to_contain_text("After step 20")


def test_a_pair_opens_large_as_soon_as_its_preview_is_made(page: Page, job: Job) -> None:
    page.goto(f"/jobs/{job.pk}/")
    page.locator(".pairs a").first.click()
    dialog = page.get_by_role("dialog", name="Picture")
    expect(dialog.locator("img[data-pending]")).to_have_count(2)
    pending = dialog.locator("img[data-pending]")
    until(lambda: (previews.make_next(), pending.count() == 0)[1], why="the worker made the pictures")
    expect(dialog.get_by_role("slider")).to_be_visible()
    dialog.get_by_role("link", name="Open").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Pair 01")


def test_without_the_script_the_link_of_a_picture_opens_its_file(page: Page, job: Job, admin: User) -> None:
    page.goto(f"/jobs/{job.pk}/")
    for place in ("#results", "#samples"):
        address = page.locator(f"{place} a[data-lightbox]").first.get_attribute("href") or ""
        answer = signed_in(admin).get(address)
        assert answer.headers["Content-Type"].startswith("image/")
        answer.close()
