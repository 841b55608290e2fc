"""Captions that are edited become a new version of their dataset, and both stay."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

from finetune_portal.datasets import sample
from tests.datasets.tus import begin, send
from tests.e2e.conftest import Portal
from tests.e2e.dropping import choose_files, five_pairs, packed

pytestmark = [pytest.mark.browser, pytest.mark.long]


@pytest.fixture
def dataset(portal: Portal, ada: requests.Session) -> str:
    """The address of a dataset that was uploaded."""
    data = sample.make()
    begun = begin(portal.url, ada, len(data))
    send(portal.url + begun.headers["Location"], ada, 0, data)
    return f"/datasets/{begun.headers['Dataset-Id']}/"


def test_a_caption_edit_makes_a_new_version(signed_in: Page, dataset: str) -> None:
    page = signed_in
    page.goto(dataset)
    expect(page.locator("#dataset-status")).to_contain_text("Ready to train")
    page.reload()
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
    expect(page.locator("#id_dataset").locator("option:checked")).to_have_text("hats v2")
