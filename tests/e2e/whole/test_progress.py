"""One bar over both legs, with speed and time left, for whoever sends and for whoever looks."""

from __future__ import annotations

import io
import os
import re
import zipfile
from pathlib import Path

import pytest
import requests
from playwright.sync_api import Page, expect

from finetune_portal.datasets import sample
from tests.datasets.tus import begin, send
from tests.e2e.conftest import Portal
from tests.e2e.dropping import choose_files
from tests.waiting import until

pytestmark = [pytest.mark.browser, pytest.mark.long]
MEGABYTE = 1_000_000
PACE = re.compile(r"[\d.]+ [kM]?B(ytes)?/s · [\d.]+ (s|min|h) left")


def heavy(megabytes: int) -> bytes:
    data = io.BytesIO(sample.make())
    with zipfile.ZipFile(data, "a") as archive:
        archive.writestr("film.bin", os.urandom(megabytes * MEGABYTE))
    return data.getvalue()


def test_the_sender_sees_speed_and_time_left_and_then_the_second_leg(form: Page, tmp_path: Path) -> None:
    whole = tmp_path / "heavy.zip"
    whole.write_bytes(heavy(40))
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 8 * MEGABYTE}
    form.context.new_cdp_session(form).send("Network.emulateNetworkConditions", slow)
    choose_files(form, whole)
    expect(form.locator("[data-upload-text]")).to_have_text(PACE)
    bar = form.locator("[data-upload-progress] progress")
    share = "(bar) => Number(bar.value)"
    until(lambda: float(bar.evaluate(share)) > 60, why="both legs count in one bar")
    expect(form.locator("#dataset-status")).to_contain_text("Ready to train")


def test_whoever_looks_at_a_dataset_on_its_way_sees_the_same(
    portal: Portal, ada: requests.Session, form: Page
) -> None:
    data = heavy(40)
    begun = begin(portal.url, ada, len(data))
    place, offset = portal.url + begun.headers["Location"], 0
    form.goto(f"/datasets/{begun.headers['Dataset-Id']}/")
    words = form.locator("[data-transfer-speed]")
    while not PACE.search(words.text_content() or ""):
        assert offset < len(data), "the pace was never told"
        offset = int(send(place, ada, offset, data[offset : offset + MEGABYTE]).headers["Upload-Offset"])
        form.wait_for_timeout(200)
    expect(form.get_by_role("progressbar")).to_have_attribute("value", re.compile("[1-9]"))
