"""A dataset's pages in the browser: the slider, rename and delete; the sample, names, light and dark."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Dialog, Page, expect

from finetune_portal.accounts.models import User
from finetune_portal.datasets import previews
from tests.e2e.conftest import write_sample
from tests.e2e.dropping import checked, choose_files
from tests.people import make_dataset
from tests.waiting import until

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
    expect(page.get_by_role("heading", level=1)).to_contain_text("Pair 01")
    assert slider.is_hidden(), "there are no pictures yet"
    until(lambda: (previews.make_next(), slider.is_visible())[1], why="the worker made the pictures")
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
    page.get_by_text("Rename, move or delete").click()
    page.get_by_label("Name").fill("Evenings to delete")
    page.get_by_role("button", name="Rename").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Evenings to delete")
    page.get_by_text("Rename, move or delete").click()
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
    select = page.locator("#id_dataset")
    expect(select).to_have_value("")
    expect(select.locator("option", has_text="hats-from-nowhere")).to_have_count(0)
    expect(page.locator("#dataset-status")).to_be_empty()
    expect(page.get_by_label("Public URL of a ZIP")).to_have_value(re.compile("nowhere"))
    page.goto("/datasets/")
    expect(page.get_by_text("hats-from-nowhere")).to_have_count(0)


def test_the_sample_is_trained_by_two_clicks(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Train the sample").click()
    page.wait_for_url(re.compile(r"/jobs/new/\?dataset=\d+"))
    expect(page.get_by_label("Name", exact=True)).to_have_value("day to night")
    checked()
    expect(page.locator("#dataset-status")).to_contain_text("6 pairs, 6 with a caption")
    page.get_by_role("button", name="Start job").click()
    page.wait_for_url(re.compile(r"/jobs/\d+/"))
    expect(page).to_have_title(re.compile(" · day to night · Finetune Portal"))


def test_a_job_is_named_after_its_files_until_somebody_types_a_name(page: Page, tmp_path: Path) -> None:
    page.goto("/jobs/new/")
    name = page.get_by_label("Name", exact=True)
    for each in ("Evening streets.zip", "Winter coats.ZIP"):
        write_sample(tmp_path / each)
        choose_files(page, tmp_path / each)
        expect(name).to_have_value(each[:-4])
    name.fill("")
    write_sample(tmp_path / "Snow.zip")
    choose_files(page, tmp_path / "Snow.zip")
    expect(page.locator("#id_dataset").locator("option:checked")).to_contain_text("Snow")
    expect(name).to_have_value("")  # somebody may be about to type
    name.blur()
    expect(name).to_have_value("Snow")
    name.fill("My own")
    write_sample(tmp_path / "Third.zip")
    choose_files(page, tmp_path / "Third.zip")
    expect(page.locator("#id_dataset").locator("option:checked")).to_contain_text("Third")
    expect(name).to_have_value("My own")


def test_the_look_that_is_chosen_stays(page: Page) -> None:
    page.goto("/datasets/")
    background = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(background)
    page.locator(".menu summary", has_text="Your account").click()
    with page.expect_response("**/look/"):
        page.get_by_role("button", name="Dark").click()
    dark = page.evaluate(background)
    assert dark != light
    page.goto("/")
    assert page.evaluate(background) == dark


def test_words_are_replaced_in_all_captions(page: Page, dataset: str) -> None:
    page.goto(f"{dataset}captions/")
    captions = page.locator(".caption-row textarea")
    texts = [caption.input_value() for caption in captions.all()]
    assert "night" in texts[0]
    page.get_by_label("Find", exact=True).fill("night")
    page.get_by_label("Replace with").fill("$& a storm")
    page.get_by_label("Replace with").press("Enter")
    expect(page.get_by_text(f"Replaced in {len(texts)} captions.")).to_be_visible()
    expect(page.get_by_text(f"{len(texts)} captions changed")).to_be_visible()
    assert [each.input_value() for each in captions.all()] == [
        text.replace("night", "$& a storm") for text in texts
    ]
    page.get_by_role("button", name="Replace in all captions").click()
    expect(page.get_by_text("No caption has it.")).to_be_visible()
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.once("dialog", stay)
    page.get_by_role("link", name="Cancel").click()
    until(lambda: asked == ["beforeunload"], why="the browser asks before the changes are left behind")
    page.get_by_role("button", name="Save as a new version").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("version 2")
