"""A real training as a person sees it: set in the form, followed by its curve and samples, cancelled."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from safetensors import safe_open

from tests.e2e.conftest import write_sample

pytestmark = pytest.mark.browser
PATIENCE = 240_000
GROWN = "(least) => JSON.parse(document.getElementById('curve')?.dataset.losses ?? '[]').length > least"


def start(page: Page, folder: Path, name: str, *, steps: int) -> None:
    path = folder / f"{name}.zip"
    write_sample(path)
    page.goto("/jobs/new/")
    page.get_by_label("Choose files: a ZIP file").set_input_files(path)
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Prompt").fill("turn day into night")
    page.get_by_label("Learning rate").fill("0.001")
    page.get_by_label("Steps", exact=True).fill(str(steps))
    page.get_by_text("Advanced", exact=True).click()
    page.get_by_label("Rank").fill("4")
    expect(page.locator("#dataset-status")).to_contain_text("Ready to train", timeout=60_000)
    page.get_by_role("button", name="Start job").click()
    page.wait_for_url(re.compile(r"/jobs/\d+/"))


def test_the_curve_of_a_training_grows_live_and_is_whole_at_the_end(signed_in: Page, tmp_path: Path) -> None:
    page = signed_in
    start(page, tmp_path, "Grows", steps=60)
    page.evaluate("window.sameDocument = true")
    page.wait_for_function(GROWN, arg=0, timeout=PATIENCE)
    expect(page.locator(".uplot canvas")).to_be_visible()
    page.evaluate("document.querySelector('.uplot').isTheSame = true")
    seen = page.evaluate("JSON.parse(document.getElementById('curve').dataset.losses).length")
    assert seen < 60, "it was over before anybody looked"
    page.wait_for_function(GROWN, arg=seen, timeout=PATIENCE)
    expect(page.locator("#training-progress")).to_contain_text("of 60")
    expect(page.locator("#training-progress")).to_contain_text(
        "Base model: the tiny test model, too small to make useful pictures."
    )
    expect(page.locator("#job .badge").first).to_contain_text("Ready", timeout=PATIENCE)
    page.wait_for_function(GROWN, arg=59, timeout=PATIENCE)
    expect(page.locator("[data-samples] > li")).to_have_count(4, timeout=PATIENCE)
    expect(page.locator("[data-samples] > [data-shown]")).to_have_text("After step 60")
    expect(page.locator("#curve-caption")).to_contain_text("On the held-out pair, which is not trained on")
    assert page.evaluate("document.querySelector('.uplot').isTheSame"), "the chart was built anew"
    assert page.evaluate("window.sameDocument"), "the page was reloaded"
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").first.click()
    with safe_open(download.value.path(), "pt") as file:
        ranks = {min(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118 - no mapping
    assert ranks == {4}, "the LoRA has the rank of the form"


def test_cancel_ends_a_training_in_its_midst(signed_in: Page, tmp_path: Path) -> None:
    page = signed_in
    start(page, tmp_path, "Cancelled", steps=20_000)
    page.wait_for_function(GROWN, arg=0, timeout=PATIENCE)
    page.get_by_role("button", name="Cancel job").click()
    page.get_by_role("button", name="Cancel the job").click()
    expect(page.locator("#job .badge").first).to_contain_text("Cancelled", timeout=PATIENCE)
    expect(page.locator("#job .banner").first).to_contain_text("What was trained until then is lost.")
    expect(page.locator("#job .banner.error")).to_have_count(0)
    expect(page.locator("#curve")).to_be_visible()
