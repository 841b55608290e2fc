"""An upload that stopped goes on, and what is shown of it stays until the portal has its own."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from django.utils.timezone import now
from playwright.sync_api import Page, Request, Route, expect

from finetune_portal.accounts.models import User
from finetune_portal.datasets import previews
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.services import start_upload
from tests.e2e.dropping import MEBIBYTE, choose_files, five_pairs, packed
from tests.people import make_dataset, make_job
from tests.waiting import until
from tests.web_server import WebServer

pytestmark = [pytest.mark.browser, pytest.mark.long]


def test_an_upload_goes_on_from_another_browser(
    page: Page, web: WebServer, admin: User, tmp_path: Path
) -> None:
    """From the library, the job and the dataset."""
    whole, other = tmp_path / "big.zip", tmp_path / "other.zip"
    whole.write_bytes(packed({**five_pairs(), "noise.bin": bytes(3 * MEBIBYTE)}))
    other.write_bytes(packed(five_pairs()))
    dataset = start_upload(owner=admin, filename="big.zip", size=whole.stat().st_size)
    dataset.path.write_bytes(whole.read_bytes()[:MEBIBYTE])
    before = now() - timedelta(hours=1)
    Dataset.objects.filter(pk=dataset.pk).update(received=MEBIBYTE, updated_at=before)
    job = make_job(admin, "waiting", dataset=dataset)
    sent: list[int] = []

    def note_offset(request: Request) -> None:
        if request.method == "PATCH":
            sent.append(offset_of(request))

    page.on("request", note_offset)
    for path in ("/datasets/", f"/jobs/{job.pk}/"):
        page.goto(path)
        page.get_by_role("link", name="Choose “big.zip” again").click()
        expect(page.get_by_role("heading", name="Choose “big.zip” again")).to_be_visible()
    choose_files(page, other)
    expect(page.get_by_text("the upload that stopped was “big.zip” with")).to_be_visible()
    choose_files(page, whole)
    expect(page.get_by_role("heading", name="Choose “big.zip” again")).to_have_count(0)
    until(lambda: dataset.path.read_bytes() == whole.read_bytes(), why="all of it has arrived")
    assert min(sent) == MEBIBYTE, "what had arrived is not sent again"


def offset_of(request: Request) -> int:
    return int(request.headers["upload-offset"])


def test_the_preview_stays_until_the_servers_pictures_have_loaded(
    page: Page, web: WebServer, admin: User, tmp_path: Path
) -> None:
    """No picture is grey in between, and none is shown whose address is gone."""
    missing: list[str] = []
    page.on("console", lambda line: missing.append(line.text) if "ERR_FILE_NOT_FOUND" in line.text else None)
    dataset = make_dataset(admin)
    whole = tmp_path / "hats.zip"
    whole.write_bytes(packed(five_pairs()))
    page.goto("/jobs/new/")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/uploads/*/", hold)
    choose_files(page, whole)
    preview = page.locator("[data-preview] .pair")
    expect(preview).to_have_count(5)
    page.evaluate(
        "(url) => htmx.ajax('GET', url, { target: '#dataset-status', swap: 'outerHTML' })",
        f"/datasets/{dataset.pk}/status/",
    )
    expect(page.locator("#dataset-status .badge")).to_be_visible()
    expect(page.locator("#dataset-status .pairs")).to_be_hidden()
    expect(preview).to_have_count(5)
    until(previews.make_next, why="the page asks for them")
    expect(page.locator("#dataset-status .pairs")).to_be_visible()
    expect(preview).to_have_count(0)
    assert missing == []
