"""A session that ends while somebody types or uploads: nothing is lost, and nothing is shown to others."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import Page, expect

from finetune_portal.accounts.models import User
from finetune_portal.datasets.models import Dataset
from tests.cookies import csrf_cookie
from tests.e2e.dropping import choose_files, five_pairs, packed
from tests.e2e.failing import KEPT, alert, fill_form, sign_in, start
from tests.people import PASSWORD, make_job, person
from tests.waiting import until
from tests.web_server import WebServer

pytestmark = [pytest.mark.browser, pytest.mark.long]


@pytest.mark.parametrize("are_cookies_gone", [True, False], ids=["cookies-gone", "session-ended"])
def test_a_session_that_ended_at_start_leads_back_to_the_form(
    page: Page, web: WebServer, admin: User, are_cookies_gone: bool
) -> None:
    fill_form(page, web, admin)
    if are_cookies_gone:
        page.context.clear_cookies()
    else:
        Session.objects.all().delete()
    start(page)
    expect(page.get_by_text("Your session ended.")).to_be_visible()
    page.get_by_label("E-mail").fill(admin.email)
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("do not belong together")).to_be_visible()
    expect(page.get_by_text("Your session ended.")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_text("What you typed is still here.")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Day to night")
    expect(page.get_by_label("Prompt")).to_have_value("turn day into night")
    expect(page.get_by_label("Steps", exact=True)).to_have_value("450")
    assert page.evaluate(KEPT) == []
    start(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Day to night")


def test_what_one_person_typed_is_not_shown_to_another(page: Page, web: WebServer, admin: User) -> None:
    fill_form(page, web, admin)
    Session.objects.all().delete()
    start(page)
    sign_in(page, person("bob", User.Role.MAKER))
    expect(page.get_by_role("heading", level=1)).to_have_text("New job")
    until(lambda: page.evaluate(KEPT) == [], why="the page has forgotten it")
    page.wait_for_load_state("load")
    expect(page.get_by_label("Name", exact=True)).to_have_value(Dataset.objects.get().name)
    expect(page.get_by_label("Prompt")).to_have_value(Dataset.objects.get().shared_caption)


def test_a_secret_is_not_kept(page: Page, web: WebServer, admin: User) -> None:
    page.goto("/settings/")
    page.locator("#connection-form").get_by_label("Name").fill("second account")
    page.locator("#connection-form").get_by_label("API key").fill("SG_secret")
    Session.objects.all().delete()
    page.get_by_role("button", name="Add and test").click()
    expect(page.get_by_text("Your session ended.")).to_be_visible()
    kept = page.evaluate("Object.values(sessionStorage).join()")
    assert "second account" in kept
    assert "SG_secret" not in kept


def test_a_page_from_before_another_sign_in_is_reloaded_with_what_was_typed(
    page: Page, web: WebServer, admin: User
) -> None:
    fill_form(page, web, admin)
    page.context.clear_cookies(name=csrf_cookie(web.url))
    start(page)
    expect(alert(page)).to_contain_text("open for too long")
    alert(page).get_by_role("button", name="Reload, and keep what I typed").click()
    expect(page.get_by_text("What you typed is still here.")).to_be_visible()
    start(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Day to night")


def test_the_search_of_a_table_whose_session_ended_leads_to_the_sign_in(
    page: Page, web: WebServer, admin: User
) -> None:
    """Case 55."""
    make_job(admin, "ready")
    page.goto("/")
    page.get_by_role("searchbox").fill("night")
    page.context.clear_cookies()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/login/[?]next="))
    expect(page.locator("#job-table")).to_have_count(0)


def test_an_upload_whose_session_ended_goes_on_after_the_sign_in(
    page: Page, web: WebServer, admin: User, tmp_path: Path
) -> None:
    whole = tmp_path / "hats.zip"
    whole.write_bytes(packed(five_pairs()))
    page.goto("/jobs/new/")
    page.get_by_label("Name", exact=True).fill("Day to night")
    Session.objects.all().delete()
    choose_files(page, whole)
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Sign in").click()
    sign_in(opened.value, admin)
    expect(page.locator("#dataset-status")).to_contain_text("hats")
    expect(page.get_by_text("Your session ended")).to_be_hidden()
    page.get_by_label("Prompt").fill("turn day into night")
    start(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Day to night")
