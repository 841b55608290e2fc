"""The same content is offered from the library before a byte of it is sent."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, expect

from finetune_portal.datasets.models import Dataset
from tests.e2e.dropping import checked, choose_files, choose_folder, drop, five_pairs, laid_out, packed

pytestmark = [pytest.mark.browser, pytest.mark.long]


@pytest.fixture
def form(page: Page) -> Page:
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto("/jobs/new/")
    return page


def arrived(form: Page) -> str:
    """Answer the id of the upload once the worker has checked it, and its transfer noted the digest."""
    checked()
    expect(form.locator("#dataset-status .pairs")).to_be_visible()
    number = form.locator("#id_dataset").input_value()
    data = Dataset.objects.get(pk=number).path.read_bytes()
    Dataset.objects.filter(pk=number).update(sha256=sha256(data).hexdigest())
    return number


def known(form: Page, path: Path) -> str:
    """Upload a ZIP, come back to an empty form, and answer the dataset's id."""
    choose_files(form, path)
    number = arrived(form)
    form.goto("/jobs/new/")
    return number


def begun_uploads(form: Page) -> list[str]:
    """Grows with every upload that begins from here on."""
    urls: list[str] = []

    def note(request: Request) -> None:
        if request.method == "POST" and request.url.endswith("/uploads/"):
            urls.append(request.url)

    form.on("request", note)
    return urls


def test_a_zip_that_is_there_is_used_without_sending_it(form: Page, tmp_path: Path) -> None:
    path = tmp_path / "crowns.zip"
    path.write_bytes(packed({**five_pairs(), "01.txt": b"put a crown on"}))
    number = known(form, path)
    begun = begun_uploads(form)

    drop(form, path.rename(tmp_path / "other name.zip"))
    offer = form.get_by_role("group", name="Already in the library")
    expect(offer).to_contain_text("You already have this: crowns, 5 pairs, from")
    expect(form.locator("[data-upload-progress]")).to_be_hidden()
    offer.get_by_role("link", name="Use it").click()
    expect(offer).to_have_count(0)
    expect(form.locator("#id_dataset")).to_have_value(number)
    expect(form.locator("#dataset-status .pairs")).to_be_visible()
    assert begun == []


def test_or_it_is_sent_all_the_same(form: Page, tmp_path: Path) -> None:
    folder = laid_out(tmp_path / "scarfs", {**five_pairs(), "01.txt": b"put a scarf on"})
    choose_folder(form, folder)
    first = arrived(form)
    begun = begun_uploads(form)

    choose_folder(form, folder)
    form.get_by_role("button", name="Upload anyway").click()
    checked()
    expect(form.locator("#id_dataset")).not_to_have_value(first)
    assert len(begun) == 1


def test_the_portal_does_not_answer_and_the_upload_goes_on(form: Page, tmp_path: Path) -> None:
    path = tmp_path / "belts.zip"
    path.write_bytes(packed({**five_pairs(), "01.txt": b"put a belt on"}))
    known(form, path)
    form.route("**/datasets/twin/**", lambda route: route.abort())
    choose_files(form, path)
    checked()
    expect(form.locator("#dataset-status .pairs")).to_be_visible()
