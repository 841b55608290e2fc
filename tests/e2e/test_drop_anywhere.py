"""Files dropped beside the field for them are taken, or it is said that they were not."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from finetune_portal.accounts.models import User
from finetune_portal.datasets.models import Dataset
from tests.e2e.dropping import PNG, begun, drop, five_pairs, packed
from tests.e2e.failing import alert
from tests.people import make_dataset, make_job
from tests.web_server import WebServer

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("path", ["/jobs/new/", "/", "/datasets/"])
def test_a_drop_anywhere_on_the_page_is_taken(
    page: Page, web: WebServer, admin: User, tmp_path: Path, path: str
) -> None:
    whole = tmp_path / "hats.zip"
    whole.write_bytes(packed(five_pairs()))
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(path)
    drop(page, whole, on="h1")
    expect(page.get_by_role("heading", level=1)).to_have_text("New job")
    begun(page)
    assert page.url.endswith("/jobs/new/")
    assert Dataset.objects.get().filename == "hats.zip"


def test_dropped_files_that_the_form_did_not_get_are_taken_again(
    page: Page, web: WebServer, admin: User, tmp_path: Path
) -> None:
    whole = tmp_path / "hats.zip"
    whole.write_bytes(packed(five_pairs()))
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto("/")
    page.route("**/js/upload*.js", lambda route: route.abort())
    drop(page, whole, on="h1")
    expect(alert(page)).to_contain_text("The files that you dropped were not taken.")
    page.unroute("**/js/upload*.js")
    alert(page).get_by_role("button", name="Try again").click()
    expect(page.locator(".chosen-dataset")).to_contain_text("hats")


def test_a_picture_dropped_in_the_playground_is_ones_own(
    page: Page, web: WebServer, admin: User, tmp_path: Path
) -> None:
    own = tmp_path / "own.png"
    own.write_bytes(PNG)
    job = make_job(admin, "ready", request_id="r-1", slug="day-to-night", dataset=make_dataset(admin))
    page.goto(f"/jobs/{job.pk}/")
    expect(page.locator(".playground-form")).to_be_visible()
    drop(page, own, on="h1")
    expect(page.locator(".thumb.uploaded img")).to_be_visible()
    assert page.url.endswith(f"/jobs/{job.pk}/"), "the browser does not open the picture"
    names = page.locator(".playground-form [name=file]").evaluate(
        "input => [...input.files].map((f) => f.name)"
    )
    assert names == ["own.png"]
