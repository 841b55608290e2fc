"""The main job, as a maker does it: sign in, drop the ZIP, start, watch, publish, make private, download."""

from __future__ import annotations

import os
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from safetensors import safe_open

from tests.e2e.conftest import enter, write_sample
from tests.waiting import PATIENCE

pytestmark = pytest.mark.browser
TRAINING = 120_000 * PATIENCE
# The states that the row of a job shows from now on, however short.
NOTE_STATES = """(row) => {
    const note = () => window.states.push(row.querySelector(".badge").textContent);
    window.states = [];
    note();
    new MutationObserver(note).observe(row, { childList: true, subtree: true, characterData: true });
}"""


@pytest.fixture(scope="module")
def sample_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sample") / "night.zip"
    write_sample(path)
    return path


def test_from_a_dropped_zip_to_a_safetensors_file(page: Page, sample_zip: Path, tmp_path: Path) -> None:
    enter(page)
    page.get_by_role("link", name="New job").first.click()
    page.get_by_label("Choose files: a ZIP file").set_input_files(sample_zip)
    page.get_by_label("Name", exact=True).fill("Day to night")
    page.get_by_label("Prompt").fill("turn day into night")
    page.get_by_label("Learning rate").fill("0.0004")
    page.get_by_label("Steps", exact=True).fill("6000")
    expect(page.locator("#dataset-status")).to_contain_text("Ready to train")
    page.get_by_role("button", name="Start job").click()
    page.wait_for_url(re.compile(r"/jobs/\d+/"))

    page.goto("/")
    page.evaluate("window.sameDocument = true")
    row = page.locator("#job-table tr", has_text="Day to night")
    row.evaluate(NOTE_STATES)
    expect(row.locator(".badge")).to_contain_text("Ready", timeout=TRAINING)
    assert "Training" in page.evaluate("window.states.join()")
    assert page.evaluate("window.sameDocument") is True, "the page was reloaded"

    switch = row.get_by_role("switch")
    switch.click()
    page.get_by_role("button", name="Make public").click()
    expect(row.get_by_role("switch")).to_have_attribute("aria-checked", "true")
    row.get_by_role("switch").click()
    expect(row.get_by_role("switch")).to_have_attribute("aria-checked", "false")

    with page.expect_download() as download:
        row.get_by_role("link", name="Download").click()
    file = tmp_path / "model.safetensors"
    download.value.save_as(file)
    with safe_open(file, framework="np") as tensors:
        assert any("lora_A" in name for name in tensors.keys())  # noqa: SIM118 - not a dict
        assert tensors.metadata()["simulated"] == "true"


@pytest.mark.long
def test_an_upload_goes_on_after_start_was_pressed(signed_in: Page, sample_zip: Path, tmp_path: Path) -> None:
    page = signed_in
    big = tmp_path / "big.zip"
    big.write_bytes(sample_zip.read_bytes())
    with zipfile.ZipFile(big, "a") as archive:
        archive.writestr("notes.bin", os.urandom(20_000_000))
    page.route("**/uploads/*/", lambda _: None)  # the chunks are held until `unroute`
    page.goto("/jobs/new/")
    page.get_by_label("Choose files: a ZIP file").set_input_files(big)
    page.get_by_label("Name", exact=True).fill("Started early")
    page.get_by_label("Prompt").fill("turn day into night")
    expect(page.locator("#id_dataset")).not_to_have_value("")
    page.get_by_role("button", name="Start job").click()
    page.wait_for_url(re.compile(r"/jobs/\d+/"))
    expect(page.locator("#dataset-status")).to_contain_text("Uploading to the portal")
    page.unroute("**/uploads/*/")
    expect(page.locator("#job .badge").first).to_contain_text("Ready", timeout=TRAINING)
