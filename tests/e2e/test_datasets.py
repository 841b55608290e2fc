"""A dataset's pages in the browser: captions as a new version, the slider, rename and delete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import write_sample
from tests.e2e.dropping import choose_files, five_pairs, packed

pytestmark = pytest.mark.browser


@pytest.fixture
def dataset(signed_in: Page, tmp_path: Path) -> str:
    """The address of a dataset that is ready to train."""
    path = tmp_path / "evenings.zip"
    write_sample(path)
    signed_in.goto("/jobs/new/")
    signed_in.get_by_label("Choose files: a ZIP").set_input_files(path)
    expect(signed_in.locator("#dataset-status")).to_contain_text("Ready to train")
    return f"/datasets/{signed_in.get_by_role('combobox', name='Dataset').input_value()}/"


def test_a_caption_edit_makes_a_new_version(signed_in: Page, dataset: str) -> None:
    page = signed_in
    page.goto(dataset)
    page.get_by_role("link", name="Edit captions").click()
    page.get_by_label("Caption of pair 02").fill("turn day into a starry night")
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("version 2")
    expect(page.locator("#dataset-status")).to_contain_text("Ready to train")
    expect(page.locator(".pair", has_text="starry night")).to_have_count(1)
    page.get_by_role("link", name="1", exact=True).click()
    expect(page).to_have_url(re.compile(f"{dataset}$"))
    expect(page.locator(".pair", has_text="starry night")).to_have_count(0)


def test_a_word_takes_the_place_of_a_placeholder(signed_in: Page, tmp_path: Path) -> None:
    page, path = signed_in, tmp_path / "hats.zip"
    path.write_bytes(packed(five_pairs() | {"02.txt": b"[trigger] wears a hat"}))
    page.goto("/jobs/new/")
    choose_files(page, path)
    word = page.get_by_label("Word in place of [trigger]")
    expect(word).to_be_visible()
    expect(page.locator("#dataset-status")).to_contain_text("Ready to train")
    page.get_by_role("button", name="Make a repaired copy").click()
    expect(page.get_by_text("Enter the word that takes the place of [trigger].")).to_be_visible()
    expect(word).to_be_focused()
    word.fill("zk woman")
    page.get_by_role("button", name="Make a repaired copy").click()
    expect(page.locator("#dataset-status .pair", has_text="zk woman wears a hat")).to_have_count(1)
    expect(page.locator("#dataset-status")).to_contain_text("Ready to train")
    expect(page.get_by_role("combobox", name="Dataset").locator("option:checked")).to_have_text("hats v2")


def test_the_slider_and_the_pairs_by_keyboard(signed_in: Page, dataset: str) -> None:
    page = signed_in
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


def test_a_deleted_dataset_asks_first_and_leaves_the_library(signed_in: Page, dataset: str) -> None:
    page = signed_in
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


def test_a_refused_address_is_said_at_its_field_and_leaves_nothing_behind(signed_in: Page) -> None:
    page = signed_in
    page.goto("/jobs/new/")
    page.get_by_text("or at a public URL").click()
    page.get_by_label("Public URL of a ZIP").fill("https://nowhere.invalid/hats-from-nowhere.zip")
    page.get_by_role("button", name="Check URL").click()
    expect(page.locator("#id_source_url_error")).to_contain_text("was not found")
    select = page.get_by_role("combobox", name="Dataset")
    expect(select).to_have_value("")
    expect(select.locator("option", has_text="hats-from-nowhere")).to_have_count(0)
    expect(page.locator("#dataset-status")).to_be_empty()
    expect(page.get_by_label("Public URL of a ZIP")).to_have_value(re.compile("nowhere"))
    page.goto("/datasets/")
    expect(page.get_by_text("hats-from-nowhere")).to_have_count(0)
