"""The playground in a browser, with an engine that really trains: a picture, its base, two compared."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import write_sample

pytestmark = pytest.mark.browser
PATIENCE = 300_000
SOON: dict[str, Any] = {"timeout": PATIENCE}


def test_a_picture_its_base_and_two_models_compared(
    signed_in: Page, tmp_path_factory: pytest.TempPathFactory
) -> None:
    page, path = signed_in, tmp_path_factory.mktemp("sample") / "night.zip"
    page.set_default_timeout(PATIENCE)
    write_sample(path)
    page.goto("/jobs/new/")
    page.get_by_label("Choose files: a ZIP file").set_input_files(path)
    page.get_by_label("Name", exact=True).fill("Night")
    page.get_by_label("Prompt").fill("turn day into night")
    page.get_by_label("Learning rate").fill("0.005, 0.009")
    page.get_by_label("Steps", exact=True).fill("2")
    expect(page.locator("#dataset-status")).to_contain_text("Ready to train", **SOON)
    page.get_by_role("button", name="Start job").click()
    page.get_by_role("button", name="Start 2 jobs").click()
    page.wait_for_url(re.compile(r"sweep="))
    expect(page.locator("#job-table .badge[data-tone=good]")).to_have_count(2, **SOON)

    page.locator("#job-table tbody .name a").first.click()
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.get_by_alt_text(re.compile("Result of the model"))).to_be_visible(**SOON)
    expect(page.locator("#playground-status")).to_have_text("The picture is ready.", **SOON)
    page.get_by_role("button", name="Same seed without the LoRA").click()
    slider = page.get_by_role("slider", name="How much of the picture without the LoRA is shown")
    slider.focus()
    page.keyboard.press("Home")
    expect(page.locator("figure[data-before-after]")).to_have_attribute("style", "--position: 0%;")
    page.get_by_label("Seed").fill("7")
    page.get_by_role("slider", name="Strength of the LoRA, from 0 to 2").fill("0.5")
    expect(page.get_by_role("textbox", name="Strength of the LoRA")).to_have_value("0.5")
    page.get_by_role("button", name="Run", exact=True).click()
    expect(page.locator("#generation")).to_contain_text("Strength 0.5 · seed 7", **SOON)
    expect(page.get_by_role("slider", name="How much of the input picture is shown")).to_be_visible(**SOON)
    page.locator(".generations a").last.click()
    expect(page.get_by_role("textbox", name="Strength of the LoRA")).to_have_value("1.0", **SOON)

    page.get_by_role("link", name="Compare the jobs of this sweep").click()
    page.get_by_role("link", name="Try them on one image").click()
    page.get_by_role("button", name="Run 3").click()
    page.wait_for_url(re.compile(r"run="))
    made = page.get_by_alt_text(re.compile("Result of (Night|the base model)"))
    expect(made).to_have_count(3, **SOON)
