"""Rows and the job page change under the hands of someone who works with them."""

from __future__ import annotations

import re

import pytest
from django.utils.timezone import now
from playwright.sync_api import Route, expect

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from finetune_portal.deletion.services import delete_job
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.timeline import Source, note
from tests.e2e.live.conftest import Open
from tests.e2e.live.looking import LOOKS, PUBLISHED, back_and_forth, badge, is_moved, live, says
from tests.people import make_job
from tests.waiting import until
from tests.worker.driving import fresh

pytestmark = pytest.mark.browser


def test_focus_selection_and_an_open_menu_survive_twenty_updates(visit: Open, alice: User) -> None:
    job = make_job(alice, State.TRAINED, **PUBLISHED)
    page = visit(alice)
    says(page, "Live")
    page.evaluate("document.querySelector('.topbar .account').open = true")
    switch = page.get_by_role("switch")
    switch.focus()
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#job-table .name a'))")
    page.evaluate("window.before = document.querySelector('[role=switch]')")
    back_and_forth(page, job, 20)
    is_moved(job, State.READY)
    badge(page, job, "Ready")
    expect(switch).to_be_focused()
    assert page.evaluate("window.before.isConnected")
    assert page.evaluate("getSelection().toString()") == "Day to night"
    expect(page.locator(".topbar .account > div")).to_be_visible()


@pytest.mark.long
def test_a_filter_half_filled_in_survives_twenty_tables(visit: Open, alice: User) -> None:
    """The whole table is brought anew each time, not a row of it."""
    job, other = make_job(alice, State.TRAINED, **PUBLISHED), make_job(alice, State.READY, name="Other")
    page = visit(alice, "/?mine=on")
    says(page, "Live")
    page.get_by_label(f"Select {other.name}").check()
    page.get_by_text("Filter", exact=True).click()
    page.get_by_role("combobox", name="Visibility").select_option("on")
    page.get_by_label("Tag", exact=True).press_sequentially("moo")
    for number in range(20):
        is_moved(job, (State.DEPLOYING, State.TRAINED)[number % 2])
        with page.expect_response(lambda answer: "seen=" in answer.url and answer.status == 200):
            page.evaluate("htmx.trigger('#job-table', 'poll')")
    page.keyboard.type("n")
    badge(page, job, "Trained")
    expect(page.get_by_label("Tag", exact=True)).to_be_focused()
    expect(page.get_by_label("Tag", exact=True)).to_have_value("moon")
    expect(page.get_by_role("combobox", name="Visibility")).to_have_value("on")
    expect(page.get_by_label(f"Select {other.name}")).to_be_checked()


def test_what_someone_reads_stays_where_it_is(visit: Open, alice: User) -> None:
    """New rows come in above it, in a browser that does not see to it by itself."""
    jobs = [make_job(alice, State.TRAINED, name=f"Job {number}") for number in range(40)]
    page = visit(alice)
    says(page, "Live")
    page.evaluate("document.documentElement.style.overflowAnchor = 'none'")
    read = page.locator(f"#job-{jobs[10].pk}")
    read.scroll_into_view_if_needed()
    page.mouse.wheel(0, 200)
    page.wait_for_function("() => scrollY > 300")
    page.evaluate("new Promise((then) => requestAnimationFrame(() => requestAnimationFrame(then)))")
    before = read.bounding_box()
    new = [make_job(alice, State.QUEUED, name=f"New {number}") for number in range(5)]
    expect(page.locator(f"#job-{new[-1].pk}")).to_be_attached()
    page.evaluate("new Promise((then) => requestAnimationFrame(() => requestAnimationFrame(then)))")
    after = read.bounding_box()
    assert before
    assert after
    assert abs(after["y"] - before["y"]) < 5, "but for what five roundings come to"


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
    back_and_forth(page, job, 5)
    is_moved(job, State.FAILED)
    badge(page, job, "Failed")
    page.get_by_role("button", name="Make public").click()
    expect(page.locator("#messages")).to_contain_text("Visibility was not changed")


@pytest.mark.long
def test_the_job_page_keeps_an_open_detail(visit: Open, alice: User) -> None:
    job = make_job(alice, State.TRAINED, **PUBLISHED)
    note(job, "Answered", source=Source.POLL, detail="HTTP 200")
    page = visit(alice, f"/jobs/{job.pk}/")
    says(page, "Live")
    page.get_by_text("Technical detail").click()
    back_and_forth(page, job, 20)
    is_moved(job, State.READY)
    badge(page, job, "Ready")
    expect(page.locator(".timeline > li")).to_have_count(22)
    expect(page.get_by_text("HTTP 200")).to_be_visible()
    assert page.evaluate("window.sameDocument") is True


def test_a_change_while_an_answer_is_under_way_is_asked_for_after_it(visit: Open, alice: User) -> None:
    job = make_job(alice, State.TRAINED, **PUBLISHED)
    page = visit(alice, f"/jobs/{job.pk}/")
    says(page, "Live")
    root = page.locator("html")
    root.evaluate(
        "root => document.addEventListener('portal:job', event => (root.dataset.state = event.detail.state))"
    )
    held: list[Route] = []
    page.route("**/state/?seen=*", lambda route: held.append(route), times=1)  # noqa: PLW0108
    with page.expect_request("**/state/?seen=*"):
        is_moved(job, State.DEPLOYING)
    expect(root).to_have_attribute("data-state", "deploying")
    answer = held[0].fetch()
    is_moved(job, State.TRAINED)
    expect(root).to_have_attribute("data-state", "trained")
    held[0].fulfill(response=answer)
    badge(page, job, "Trained")
    expect(page.locator(".timeline > li")).to_have_count(2)


def test_an_answer_that_is_older_than_what_was_pushed_takes_nothing_back(visit: Open, alice: User) -> None:
    job = make_job(alice, State.DEPLOYING, **PUBLISHED)
    page = visit(alice)
    live(page)
    held: list[Route] = []
    page.route("**/*seen=*", lambda route: held.append(route), times=1)  # noqa: PLW0108
    with page.expect_request("**/*seen=*"):
        page.evaluate("htmx.trigger('#job-table', 'poll')")
    is_moved(job, State.TRAINED)
    badge(page, job, "Trained")
    answer = held[0].fetch()
    is_moved(job, State.FAILED)
    badge(page, job, "Failed")
    failed = page.get_by_role("link", name="Failed or closed").locator("span")
    expect(failed).to_have_text("1")
    held[0].fulfill(response=answer)
    until(lambda: not page.evaluate(LOOKS), why="the answer is applied")
    badge(page, job, "Failed")
    expect(failed).to_have_text("1")


def test_a_job_that_was_deleted_meanwhile_does_not_come_back(visit: Open, alice: User) -> None:
    """Nor does a new one go: the answer is older than the one, and newer than the other."""
    job = make_job(alice, State.DEPLOYING, **PUBLISHED)
    page = visit(alice)
    live(page)
    held: list[Route] = []
    page.route("**/*seen=*", lambda route: held.append(route), times=1)  # noqa: PLW0108
    with page.expect_request("**/*seen=*"):
        page.evaluate("htmx.trigger('#job-table', 'poll')")
    is_moved(job, State.FAILED)
    badge(page, job, "Failed")
    delete_job(fresh(job), actor=alice)
    answer = held[0].fetch()
    new = make_job(alice, State.QUEUED, name="New")
    badge(page, new, State.QUEUED.label)
    held[0].fulfill(response=answer)
    until(lambda: not page.evaluate(LOOKS), why="the answer is applied")
    expect(page.locator(f"#job-{job.pk}")).to_have_count(0)
    badge(page, new, State.QUEUED.label)


def test_a_banner_comes_and_goes_by_itself(visit: Open, alice: User) -> None:
    page = visit(alice)
    says(page, "Live")
    for number, failure in enumerate(("The provider is away.", "")):
        Connection.objects.update(
            failure=failure, is_training_closed=not number, updated_at=f"2030-01-01T00:00:0{number}Z"
        )
        expect(page.locator("#banners .banner")).to_have_count(1 - number)


def test_the_job_page_grows_what_a_ready_model_brings(visit: Open, alice: User) -> None:
    """The stages count on, the lines to use it and the download come in by themselves."""
    job = make_job(alice, State.TRAINING, sent_at=now())
    note(job, "Training", source=Source.POLL, state=State.TRAINING)
    page = visit(alice, f"/jobs/{job.pk}/")
    says(page, "Live")
    stage = page.locator(".stages > li", has_text="Training")
    expect(stage.locator("time")).to_have_text(re.compile(r"^\d+ s$"))
    counted = stage.locator("time").inner_text()
    expect(stage.locator("time")).not_to_have_text(counted)
    expect(page.get_by_text("Use the model")).to_have_count(0)
    Job.objects.filter(pk=job.pk).update(**PUBLISHED)
    is_moved(job, State.READY)
    expect(page.get_by_role("heading", name="Use the model")).to_be_visible()
    expect(page.get_by_role("link", name="Download .safetensors")).to_be_visible()
    expect(page.locator(".stages > li", has_text="Training").locator("time")).to_have_count(0)
    expect(page.locator(".timeline time")).to_have_count(2)
    expect(page.locator(".timeline time", has_text="UTC")).to_have_count(0)  # all in the viewer's own time
    assert page.evaluate("window.sameDocument") is True
