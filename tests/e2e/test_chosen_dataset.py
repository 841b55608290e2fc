"""Once a dataset is chosen, the form shows what it is in place of the ways to choose one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from finetune_portal.accounts.models import User
from tests.e2e.dropping import (
    HALVES,
    PNG,
    begun,
    checked,
    choose_files,
    drop,
    five_pairs,
    hold_chunks,
    packed,
    picture,
)
from tests.people import make_dataset

pytestmark = pytest.mark.browser


def test_a_drop_folds_into_a_strip_with_its_upload(form: Page, tmp_path: Path) -> None:
    wide = picture(size=(640, 320))
    whole = tmp_path / "hats.zip"
    whole.write_bytes(packed({**five_pairs(), "01_start.png": wide, "01_end.png": wide}))
    ways, strip = form.locator("#dataset-ways"), form.locator(".chosen-dataset")
    change = form.get_by_role("button", name="Change the dataset")
    expect(change).to_be_hidden()
    hold_chunks(form)
    drop(form, whole)
    expect(ways).to_be_hidden()
    expect(strip.locator("[data-upload-name]")).to_have_text("hats")
    expect(strip).to_contain_text("5 pairs with captions · ")
    expect(strip.get_by_role("progressbar", name="Upload")).to_be_visible()
    expect(strip.locator(".whole img:visible")).to_have_count(2)
    prompt = form.get_by_label("Prompt")
    expect(prompt).to_have_accessible_description("Optional: every pair has a caption.")
    expect(prompt).to_have_value("")  # their captions differ
    assert cover_ratio(form) == pytest.approx(2, abs=0.1), "nothing of the edit is cut away"
    form.unroute("**/uploads/*/")
    checked()
    expect(strip.locator(".pairs a").first).to_be_visible()
    expect(strip.locator(".dataset-name:visible, [data-upload-name]:visible")).to_have_text("hats")
    change.click()
    expect(ways).to_be_visible()
    expect(form.get_by_label("ZIP file")).to_be_focused()
    change.click()
    expect(ways).to_be_hidden()


def cover_ratio(form: Page) -> float:
    """How many times wider than high the picture before is shown."""
    ratio = form.locator(".whole img:visible").first.evaluate("image => image.width / image.height")
    return float(ratio)


def test_one_of_the_library_folds_them_too_and_none_brings_them_back(page: Page, admin: User) -> None:
    dataset = make_dataset(admin)
    page.goto("/jobs/new/")
    ways, select = page.locator("#dataset-ways"), page.locator("#id_dataset")
    select.focus()
    page.keyboard.press("ArrowDown")
    expect(select).to_have_value(str(dataset.pk))
    expect(select).to_be_focused()  # the next arrow selects the next dataset
    page.get_by_label("Name", exact=True).focus()
    expect(ways).to_be_hidden()
    expect(page.locator(".chosen-dataset")).to_contain_text(dataset.label)
    page.get_by_role("button", name="Change the dataset").focus()
    for key in ("g", "d"):
        page.keyboard.press(key)  # leaves no form that has something in it
    page.get_by_role("button", name="Change the dataset").click()
    select.select_option("")
    expect(page.get_by_role("button", name="Change the dataset")).to_be_hidden()
    expect(ways).to_be_visible()


def test_equal_captions_are_the_prompt_until_somebody_types_another(
    page: Page, admin: User, tmp_path: Path
) -> None:
    lonely = make_dataset(admin, data=packed({f"01_{half}.png": PNG for half in HALVES}))
    sample = make_dataset(admin)
    page.goto("/jobs/new/")
    page.on("dialog", lambda dialog: dialog.accept())
    prompt = page.get_by_label("Prompt")
    for caption in (b"put a hat on", b"put a crown on"):
        whole = tmp_path / f"{caption.decode()}.zip"
        whole.write_bytes(packed({**five_pairs(), **{f"{n:02}.txt": caption for n in range(1, 6)}}))
        choose_files(page, whole)
        expect(prompt).to_have_value(caption.decode())
    begun(page)
    prompt.fill("")
    change = page.get_by_role("button", name="Change the dataset")
    change.click()
    page.locator("#id_dataset").select_option(str(lonely.pk))
    expect(prompt).to_have_accessible_description(re.compile("Used for every pair without a caption."))
    expect(prompt).to_have_value("")
    prompt.fill("a hat")
    change.click()
    page.locator("#id_dataset").select_option(str(sample.pk))
    expect(prompt).to_have_value("a hat")
