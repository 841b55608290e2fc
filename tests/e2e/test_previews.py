"""A page shows placeholders at once, and each picture as soon as the worker has made it."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from finetune_portal.accounts.models import User
from finetune_portal.datasets import previews
from tests.people import make_dataset
from tests.waiting import until

pytestmark = pytest.mark.browser

SIZES = "(images) => images.map((image) => image.naturalWidth)"


def test_placeholders_become_pictures_by_themselves(page: Page, admin: User) -> None:
    dataset = make_dataset(admin)
    page.goto(f"/datasets/{dataset.pk}/")
    images, pending = page.locator(".pairs img"), page.locator("img[data-pending]")
    expect(pending).to_have_count(12)
    page.wait_for_function("() => [...document.images].every((one) => one.complete && one.naturalWidth)")
    boxes = images.evaluate_all("(images) => images.map((image) => image.offsetHeight)")
    until(previews.make_next, why="the page asks for them")
    expect(pending).to_have_count(0)
    page.wait_for_function("() => [...document.images].every((image) => image.complete)")
    until(lambda: images.evaluate_all(SIZES) == [160] * 12, why="the pictures are there")
    assert "?" not in (images.first.get_attribute("src") or "")
    assert images.evaluate_all("(images) => images.map((image) => image.offsetHeight)") == boxes


def test_where_none_can_be_made_the_page_says_so_and_asks_no_more(page: Page, admin: User) -> None:
    dataset = make_dataset(admin)
    page.goto(f"/datasets/{dataset.pk}/pairs/0/")
    pending = page.locator("img[data-pending]")
    expect(pending).to_have_count(2)
    dataset.path.write_bytes(b"no ZIP any more")
    until(previews.make_next, why="the page asks for them")
    expect(pending).to_have_count(0)
