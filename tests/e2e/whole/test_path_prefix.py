"""The main job in a browser, where PORTAL_URL has a path."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import EMAIL, PASSWORD, Portal, write_sample
from tests.waiting import PATIENCE

pytestmark = [pytest.mark.browser, pytest.mark.long]


@pytest.fixture
def below(browser: Browser, tmp_path: Path) -> Iterator[tuple[Page, str]]:
    """A visitor of a portal below a path, and its address. A request beside the path ends with an error."""
    portal = Portal(tmp_path / "data")
    url = f"{portal.url}/tools/portal"
    strays: list[str] = []
    context = browser.new_context(accept_downloads=True, reduced_motion="reduce")
    context.set_default_timeout(60_000 * PATIENCE)
    page = context.new_page()
    page.on(
        "request", lambda asked: None if asked.url.startswith((url, "blob:")) else strays.append(asked.url)
    )
    page.on("pageerror", lambda error: strays.append(str(error)))
    try:
        portal.start(PORTAL_URL=url, ENGINE_TIME_SCALE="0.02", WEB_WORKERS="1")
        yield page, url
        assert [stray for stray in strays if not stray.startswith((url, "blob:"))] == []
    finally:
        context.close()
        portal.stop()


def test_from_a_zip_to_a_model_below_a_path(below: tuple[Page, str], tmp_path: Path) -> None:
    page, url = below
    archive = tmp_path / "night.zip"
    write_sample(archive)
    page.goto(f"{url}/jobs/new/")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(f"{url}/jobs/new/")

    page.get_by_label("Choose files: a ZIP file").set_input_files(archive)
    page.get_by_label("Name", exact=True).fill("Day to night")
    page.get_by_label("Prompt").fill("turn day into night")
    expect(page.locator("#dataset-status")).to_contain_text("Ready to train")
    page.get_by_role("button", name="Start job").click()
    page.wait_for_url(re.compile(rf"{url}/jobs/\d+/"))

    page.goto(url)
    expect(page.locator("body")).to_contain_text("Live")
    row = page.locator("#job-table tr", has_text="Day to night")
    expect(row.locator(".badge")).to_contain_text("Ready", timeout=120_000 * PATIENCE)
    with page.expect_download() as download:
        row.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename.endswith(".safetensors")
    assert download.value.url.startswith(f"{url}/jobs/")
    assert Path(download.value.path()).stat().st_size > 1000
