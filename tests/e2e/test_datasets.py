"""A dataset's pages in the browser: the slider, rename and delete."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from finetune_portal.accounts.models import User
from tests.e2e.dropping import checked
from tests.people import make_dataset

pytestmark = pytest.mark.browser


@pytest.fixture
def dataset(admin: User) -> str:
    """The address of a dataset that is ready to train."""
    return f"/datasets/{make_dataset(admin).pk}/"


def test_the_slider_and_the_pairs_by_keyboard(page: Page, dataset: str) -> None:
    page.goto(dataset)
    page.locator(".pair a").first.focus()
    page.keyboard.press("Enter")
    slider = page.get_by_role("slider")
    clip = page.locator(".before-after .before")
    shown = clip.evaluate("(image) => getComputedStyle(image).clipPath")
    slider.focus()
    for _ in range(10):
        page.keyboard.press("ArrowRight")
    expect(slider).to_have_value("60")
    assert clip.evaluate("(image) => getComputedStyle(image).clipPath") != shown
    page.keyboard.press("j")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Pair 02")
    page.keyboard.press("k")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Pair 01")


def test_a_deleted_dataset_asks_first_and_leaves_the_library(page: Page, dataset: str) -> None:
    page.goto(dataset)
    page.get_by_text("Rename or delete").click()
    page.get_by_label("Name").fill("Evenings to delete")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Evenings to delete")
    page.get_by_text("Rename or delete").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.locator("#messages")).to_contain_text("was deleted")
    expect(page.locator(".dataset-grid", has_text="Evenings to delete")).to_have_count(0)


def test_a_refused_address_is_said_at_its_field_and_leaves_nothing_behind(page: Page) -> None:
    page.goto("/jobs/new/")
    page.get_by_text("or at a public URL").click()
    page.get_by_label("Public URL of a ZIP").fill("https://nowhere.invalid/hats-from-nowhere.zip")
    page.get_by_role("button", name="Check URL").click()
    checked()
    expect(page.locator("#id_source_url_error")).to_contain_text("was not found")
    select = page.get_by_role("combobox", name="Dataset")
    expect(select).to_have_value("")
    expect(select.locator("option", has_text="hats-from-nowhere")).to_have_count(0)
    expect(page.locator("#dataset-status")).to_be_empty()
    expect(page.get_by_label("Public URL of a ZIP")).to_have_value(re.compile("nowhere"))
    page.goto("/datasets/")
    expect(page.get_by_text("hats-from-nowhere")).to_have_count(0)
