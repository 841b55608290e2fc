"""Rows and the job page change under the hands of someone who works with them."""

from __future__ import annotations

import re

import pytest
from django.utils.timezone import now
from playwright.sync_api import expect

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.timeline import Source, note
from tests.e2e.live.conftest import Open
from tests.e2e.live.looking import PUBLISHED, back_and_forth, badge, is_moved, says
from tests.people import make_job, person

pytestmark = pytest.mark.browser


def test_focus_selection_and_an_open_menu_survive_twenty_updates(visit: Open, alice: User) -> None:
    job = make_job(alice, State.TRAINED, **PUBLISHED)
    page = visit(alice)
    says(page, "Live")
    page.evaluate("document.querySelector('.topbar .menu').open = true")
    switch = page.get_by_role("switch")
    switch.focus()
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#job-table .name a'))")
    page.evaluate("window.before = document.querySelector('[role=switch]')")
    back_and_forth(job, 20)
    is_moved(job, State.READY)
    badge(page, job, "Ready")
    expect(switch).to_be_focused()
    assert page.evaluate("window.before.isConnected")
    assert page.evaluate("getSelection().toString()") == "Day to night"
    expect(page.locator(".topbar .menu > div")).to_be_visible()


def test_a_switch_in_use_is_brought_up_to_date_once_it_is_left(visit: Open, alice: User) -> None:
    job = make_job(alice, State.TRAINED, **PUBLISHED)
    page = visit(alice)
    says(page, "Live")
    switch = page.get_by_role("switch")
    switch.focus()
    Job.objects.filter(pk=job.pk).update(is_public=True)
    is_moved(job, State.READY)
    badge(page, job, "Ready")
    expect(switch).to_have_attribute("aria-checked", "false")
    switch.blur()
    expect(switch).to_have_attribute("aria-checked", "true")


def test_a_row_that_was_pushed_works_like_any_other(visit: Open, alice: User) -> None:
    job = make_job(alice, State.TRAINING)
    page = visit(alice)
    says(page, "Live")
    Job.objects.filter(pk=job.pk).update(**PUBLISHED, is_public=True)
    is_moved(job, State.READY)
    page.get_by_role("switch").click()
    expect(page.locator("#messages")).to_contain_text("Visibility was not changed")


def test_an_open_question_keeps_its_form(visit: Open, alice: User) -> None:
    job = make_job(alice, State.TRAINED, **PUBLISHED)
    page = visit(alice)
    says(page, "Live")
    page.get_by_role("switch").click()
    back_and_forth(job, 5)
    is_moved(job, State.FAILED)
    badge(page, job, "Failed")
    page.get_by_role("button", name="Make public").click()
    expect(page.locator("#messages")).to_contain_text("Visibility was not changed")


def test_the_job_page_keeps_an_open_detail(visit: Open, alice: User) -> None:
    job = make_job(alice, State.TRAINED, **PUBLISHED)
    note(job, "Answered", source=Source.POLL, detail="HTTP 200")
    page = visit(alice, f"/jobs/{job.pk}/")
    says(page, "Live")
    page.get_by_text("Technical detail").click()
    back_and_forth(job, 20)
    is_moved(job, State.READY)
    badge(page, job, "Ready")
    expect(page.locator(".timeline > li")).to_have_count(22)
    expect(page.get_by_text("HTTP 200")).to_be_visible()
    assert page.evaluate("window.sameDocument") is True


def test_a_new_job_comes_in_on_top_where_it_belongs(visit: Open, alice: User) -> None:
    make_job(alice, State.READY, name="Old")
    bob = person("bob", "maker")
    page, ready, his = visit(alice), visit(alice, "/?state=ready"), visit(bob, "/?mine=on&state=active")
    sought = visit(alice, "/?q=ne")
    for each in (page, ready, his, sought):
        says(each, "Live")
    new = make_job(bob, State.QUEUED, name="New")
    first = page.locator("#job-table tbody tr").first
    expect(first).to_contain_text("New", timeout=1000)
    expect(first).to_have_attribute("data-new", "")
    expect(ready.locator("[data-filter=''] span")).to_have_text("2")
    expect(ready.locator(f"#job-{new.pk}")).to_have_count(0)
    expect(his.locator(f"#job-{new.pk}")).to_be_visible()
    expect(sought.locator(f"#job-{new.pk}")).to_be_visible()
    expect(first).not_to_have_attribute("data-new", "", timeout=12_000)


def test_a_banner_comes_and_goes_by_itself(visit: Open, alice: User) -> None:
    page = visit(alice)
    says(page, "Live")
    for number, failure in enumerate(("The upstream is away.", "")):
        Connection.objects.update(
            failure=failure, is_closed=not number, changed=f"2030-01-01T00:00:0{number}Z"
        )
        expect(page.locator("#banners .banner")).to_have_count(1 - number)


def test_the_job_page_grows_what_a_ready_model_brings(visit: Open, alice: User) -> None:
    """The stations count on, the lines to use it and the download come in by themselves."""
    job = make_job(alice, State.TRAINING, sent=now())
    note(job, "Training", source=Source.POLL, state=State.TRAINING)
    page = visit(alice, f"/jobs/{job.pk}/")
    says(page, "Live")
    station = page.locator(".line > li", has_text="Training")
    expect(station.locator("time")).to_have_text(re.compile(r"^\d+ s$"))
    counted = station.locator("time").inner_text()
    expect(station.locator("time")).not_to_have_text(counted)
    expect(page.get_by_text("How to use it")).to_have_count(0)
    Job.objects.filter(pk=job.pk).update(**PUBLISHED)
    is_moved(job, State.READY)
    expect(page.get_by_role("heading", name="How to use it")).to_be_visible()
    expect(page.get_by_role("link", name="Download .safetensors")).to_be_visible()
    expect(page.locator(".line > li", has_text="Training").locator("time")).to_have_count(0)
    clocks = page.locator(".timeline time").all_inner_texts()
    assert len(clocks) == 2
    assert not any("UTC" in clock for clock in clocks), "all in the viewer's own time"
    assert page.evaluate("window.sameDocument") is True
