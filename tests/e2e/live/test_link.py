"""What the live pages hear: pushed, cut off, swallowed, in many tabs."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils.timezone import now
from playwright.sync_api import expect

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.choices import State
from tests.e2e.live.conftest import Open
from tests.e2e.live.looking import badge, is_moved, live, says
from tests.e2e.live.proxy import Proxy
from tests.people import make_job, person
from tests.web_server import WebServer

pytestmark = [pytest.mark.browser, pytest.mark.long]


def test_a_change_reaches_two_browsers_without_a_reload_or_a_poll(visit: Open, alice: User) -> None:
    job = make_job(alice, State.TRAINING)
    pages = [visit(alice), visit(person("charlie", "viewer"))]
    asked = live(*pages)
    is_moved(job, State.READY)
    for page in pages:
        badge(page, job, "Ready")
        assert page.evaluate("window.sameDocument") is True
        expect(page.locator("[data-filter=ready] span")).to_have_text("1")
        expect(page.locator("#live [role=status]")).to_have_text("“Day to night”: Ready.")
    assert asked == [[], []]


def test_a_cut_stream_is_told_and_comes_back_with_nothing_missed(
    visit: Open, alice: User, web: WebServer
) -> None:
    proxy = Proxy(web.port)
    job, other = make_job(alice, State.TRAINING), make_job(alice, State.TRAINING)
    page = visit(alice, url=proxy.url)
    says(page, "Live")
    proxy.cut()
    says(page, re.compile(r"Checking every 3 s · as of (now|\d+ s ago)"))
    is_moved(job, State.FAILED)
    badge(page, job, "Failed")
    answers: list[int] = []
    page.on("response", lambda got: answers.append(got.status) if "seen=" in got.url else None)
    page.wait_for_event("response", lambda got: "seen=" in got.url)
    page.wait_for_event("response", lambda got: "seen=" in got.url)
    assert answers[-1] == 204
    proxy.mode = "pass"
    is_moved(other, State.READY)
    says(page, re.compile("^Live$"))
    badge(page, other, "Ready")
    assert page.evaluate("window.sameDocument") is True


def test_a_proxy_that_swallows_the_stream_is_noticed(visit: Open, alice: User, web: WebServer) -> None:
    proxy = Proxy(web.port)
    proxy.mode = "swallow"
    job = make_job(alice, State.TRAINING)
    page = visit(alice, url=proxy.url)
    says(page, "Checking every 3 s")
    is_moved(job, State.READY)
    badge(page, job, "Ready")


def test_without_a_portal_it_says_so_and_how_old_the_page_is(
    visit: Open, alice: User, web: WebServer
) -> None:
    page = visit(alice)
    says(page, "Live")
    web.stop()
    says(page, re.compile(r"No connection, trying again · as of \d+ s ago"))
    web.start()
    says(page, re.compile("^Live$"))


def test_ten_tabs_share_one_stream(visit: Open, alice: User) -> None:
    """A browser opens six connections to a server; the seventh stream of its own would hang."""
    job = make_job(alice, State.TRAINING)
    first = visit(alice)
    tabs = [first, *(visit(alice, within=first) for _ in range(9))]
    asked = live(*tabs)
    is_moved(job, State.READY)
    for tab in tabs:
        badge(tab, job, "Ready")
    assert asked == [[]] * len(tabs)


def test_a_browser_without_shared_workers_is_live_too(visit: Open, alice: User) -> None:
    job = make_job(alice, State.TRAINING)
    page = visit(alice)
    page.add_init_script("delete window.SharedWorker")
    page.reload()
    asked = live(page)
    is_moved(job, State.READY)
    badge(page, job, "Ready")
    assert asked == [[]]


def test_a_browser_that_refuses_the_worker_is_live_too(visit: Open, alice: User) -> None:
    """It cannot be loaded, or the browser keeps it from a page that may store nothing."""
    job = make_job(alice, State.TRAINING)
    page = visit(alice)
    page.context.route("**/live-worker*", lambda route: route.abort())
    refused = visit(alice, within=page)
    barred = visit(alice, within=page)
    barred.add_init_script("window.SharedWorker = class { constructor() { throw new DOMException() } }")
    barred.reload()
    asked = live(refused, barred)
    is_moved(job, State.READY)
    for each in (refused, barred):
        badge(each, job, "Ready")
    assert asked == [[], []]


def test_a_page_that_the_browser_kept_for_back_catches_up(visit: Open, alice: User) -> None:
    """Playwright's Chromium keeps none, so its two events are played."""
    job, other = make_job(alice, State.TRAINING), make_job(alice, State.TRAINING)
    page = visit(alice)
    says(page, re.compile("^Live$"))
    played = "(name) => void window.dispatchEvent(new PageTransitionEvent(name, { persisted: true }))"
    page.evaluate(played, "pagehide")
    is_moved(job, State.READY)
    # Sooner than a page that only found its stream silent would ask.
    with page.expect_request(lambda asked: "seen=" in asked.url, timeout=10_000):
        page.evaluate(played, "pageshow")
    badge(page, job, "Ready")
    asked = live(page)
    is_moved(other, State.FAILED)
    expect(page.locator(f"#job-{other.pk} .badge")).to_contain_text("Failed")
    assert asked == [[]]


def test_the_page_says_how_old_the_providers_word_is(visit: Open, alice: User) -> None:
    Connection.objects.update(last_answer_at=now() - timedelta(seconds=22))
    page = visit(alice)
    says(page, re.compile("^Live · provider answered [2-5]0 s ago$"))
    Connection.objects.update(last_answer_at=now())
    says(page, "Live · provider answered just now")
