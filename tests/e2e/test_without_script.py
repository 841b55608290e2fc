"""The portal where no script runs: what must be asked is asked, and what was typed is not lost."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import Browser, Page, expect

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Preset
from tests.cookies import session_cookie
from tests.people import PASSWORD, make_dataset
from tests.waiting import PATIENCE
from tests.web_server import WebServer, session_of

pytestmark = pytest.mark.browser


@pytest.fixture
def page(browser: Browser, web: WebServer, admin: User) -> Iterator[Page]:
    context = browser.new_context(base_url=web.url, java_script_enabled=False)
    context.set_default_timeout(60_000 * PATIENCE)
    context.add_cookies([{"name": session_cookie(web.url), "value": session_of(admin), "url": web.url}])
    yield context.new_page()
    context.close()


def test_a_question_is_a_page_of_its_own(page: Page, admin: User) -> None:
    dataset = make_dataset(admin, name="hats & <b>more</b>")
    page.goto(f"/datasets/{dataset.pk}/")
    for answer in ("Cancel", "Delete"):
        page.get_by_text("Rename, move or delete").click()
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Delete “hats & <b>more</b>”?")
        assert Dataset.objects.filter(deleted_at=None).exists()
        page.locator(".confirm-page").get_by_text(answer, exact=True).click()
        expect(page.get_by_role("heading", level=1)).not_to_have_text("Delete “hats & <b>more</b>”?")
    assert not Dataset.objects.filter(deleted_at=None).exists()


def test_a_form_whose_session_ended_shows_what_was_typed(page: Page, admin: User) -> None:
    page.goto("/settings/")
    form = page.locator("#connection-form")
    form.get_by_label("Name").fill("the studio’s account")
    form.get_by_label("API key").fill("SG_secret")
    Session.objects.all().delete()
    form.get_by_role("button", name="Add and test").click()
    expect(page.get_by_label("Name")).to_have_value("the studio’s account")
    assert "SG_secret" not in page.content()
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Sign in").click()
    tab = opened.value
    tab.get_by_label("E-mail").fill(admin.email)
    tab.get_by_label("Password").fill(PASSWORD)
    tab.get_by_role("button", name="Sign in", exact=True).click()
    expect(tab).to_have_url(re.compile("/settings/$"))


def test_the_form_says_of_the_selected_connection_that_it_is_closed(page: Page) -> None:
    for name in ("open", "shut"):
        url = f"https://{name}.example"
        Connection.objects.create(name=name, base_url=url, is_training_closed=name == "shut")
    page.goto("/jobs/new/")
    notice = page.locator("#job-form").get_by_text("Closed to new jobs.")
    page.get_by_role("radio", name="open").check()
    expect(notice).to_be_hidden()
    page.get_by_role("radio", name="shut").check()
    expect(notice).to_be_visible()
    expect(page.get_by_role("radio", name="shut")).to_have_accessible_description(re.compile("shut: Closed"))


def test_presets_are_text_and_no_button_is_dead(page: Page, admin: User) -> None:
    Preset.objects.create(owner=admin, name="Hats", learning_rate=0.0003, steps=700, parameters={"rank": 32})
    page.goto("/jobs/new/")
    shown = page.locator(".presets").inner_text()
    assert [shown.count(text) for text in ("300 steps at 0.0004", "700 steps at 0.0003", "rank 32")] == [
        1,
        1,
        1,
    ]
    assert [button.inner_text() for button in page.locator("button[type=button]:visible").all()] == []
    page.get_by_role("button", name="Delete the preset Hats").click()
    expect(page.locator(".presets")).not_to_contain_text("700 steps")
    expect(page).to_have_url(re.compile("/jobs/new/$"))
    assert not Preset.objects.exists()
