"""A sweep from its question to the comparison; the table by keyboard; ticked jobs archived and back again."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import write_sample

pytestmark = pytest.mark.browser


@pytest.fixture
def sweep(signed_in: Page, tmp_path: Path) -> Page:
    """The table of a sweep of four trainings."""
    page, path = signed_in, tmp_path / "sweep.zip"
    write_sample(path)
    page.goto("/jobs/new/")
    page.get_by_label("Choose files: a ZIP file").set_input_files(path)
    page.get_by_label("Name", exact=True).fill("Four moons")
    page.get_by_label("Instruction prompt").fill("turn day into night")
    page.get_by_label("Learning rate").fill("0.0001, 0.0004")
    page.get_by_label("Steps").fill("300, 500")
    expect(page.locator("#dataset-status")).to_contain_text("Ready to train", timeout=30_000)
    page.get_by_role("button", name="Start training").click()
    expect(page.get_by_role("alert").filter(has_text="This starts 4 trainings")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Four moons")
    page.get_by_role("button", name="Start 4 trainings").click()
    page.wait_for_url(re.compile(r"sweep="))
    expect(page.locator("#job-table tbody tr")).to_have_count(4)
    return page


def test_a_sweep_is_compared(sweep: Page) -> None:
    page = sweep
    for row in page.locator("#job-table tbody tr").all()[:2]:
        row.get_by_role("checkbox").check()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Compare 2 trainings")
    expect(page.get_by_role("row", name=re.compile("Learning rate"))).to_contain_text("0.0004")


def test_ticked_jobs_are_archived_and_brought_back(sweep: Page) -> None:
    page = sweep
    first = page.locator("#job-table tbody tr").first
    before = first.bounding_box()
    first.get_by_role("checkbox").check()
    expect(page.get_by_role("button", name="Archive", exact=True)).to_be_visible()
    assert first.bounding_box() == before, "no row moves away under the pointer"
    page.get_by_role("button", name="Archive", exact=True).click()
    expect(page.locator("#job-table tbody tr")).to_have_count(3)
    assert "sweep=" in page.url, "the filter stays"
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#messages")).to_contain_text("1 back in the table")


def test_the_table_by_keyboard(sweep: Page) -> None:
    page = sweep
    page.keyboard.press("j")
    expect(page.locator("#job-table tbody tr").nth(0).locator(".name a")).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.locator("#job-table tbody tr").nth(1).locator(".name a")).to_be_focused()
    page.keyboard.press("x")
    expect(page.locator("#job-table tbody tr").nth(1).get_by_role("checkbox")).to_be_checked()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("moons n")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No job fits")).to_be_visible()
    page.go_back()
    page.keyboard.press("n")
    expect(page.get_by_role("heading", level=1)).to_have_text("New training")
