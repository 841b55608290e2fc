"""The live table and job page in a real Chromium: pushed, cut off, in use, and in many tabs."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from pytest_django.plugin import DjangoDbBlocker

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.timeline import Source, move, note
from tests.jobs.web import Web, database_of, running_web, session_of
from tests.people import make_dataset, make_job, person

pytestmark = pytest.mark.browser
PUBLISHED = {"request_id": "1", "slug": "s", "cloud_storage_url": "https://a.example/b"}
Open = Callable[..., Page]


class Proxy:
    """Relays to the portal. It can cut off the live stream, or swallow what that says."""

    def __init__(self, target: int) -> None:
        self.target, self.mode = target, "pass"
        self.live: list[socket.socket] = []
        self.carried = 0  # bytes from the portal to the browser
        self.server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.server.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def cut(self) -> None:
        self.mode = "cut"
        for connection in self.live:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self.server.accept()
                threading.Thread(target=self._relay, args=(client,), daemon=True).start()

    def _relay(self, client: socket.socket) -> None:
        swallows = threading.Event()
        with client, socket.create_connection(("127.0.0.1", self.target)) as server, suppress(OSError):
            threading.Thread(target=self._answer, args=(server, client, swallows), daemon=True).start()
            while data := client.recv(65536):
                if data.startswith(b"GET /live/"):
                    self.live.append(client)
                    if self.mode == "cut":
                        return
                    if self.mode == "swallow":
                        swallows.set()
                server.sendall(data)

    def _answer(self, server: socket.socket, client: socket.socket, swallows: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                self.carried += len(data)
                if not swallows.is_set():
                    client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with running_web(tmp_path_factory.mktemp("live") / "data") as web:
        yield web


@pytest.fixture
def web(
    server: Web, settings: Any, django_db_blocker: DjangoDbBlocker, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Web]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright runs a loop in this thread
    with database_of(server, settings, django_db_blocker):
        connections.built_in()
        yield server


@pytest.fixture
def alice(web: Web) -> User:
    return person("alice", "maker")


@pytest.fixture
def visit(browser: Browser, web: Web) -> Iterator[Open]:
    """Open a page as someone: each call is a browser of its own, unless one is given."""
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def open_page(user: User, path: str = "/", *, url: str = web.url, within: Page | None = None) -> Page:
        context = within.context if within else browser.new_context(base_url=url)
        if not within:
            contexts.append(context)
        context.add_cookies([{"name": "sessionid", "value": session_of(user), "url": url}])
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if "Security Policy" in line.text else None)
        page.goto(path)
        page.evaluate("window.sameDocument = true")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def says(page: Page, words: str | re.Pattern[str], seconds: float = 10) -> None:
    expect(page.locator("[data-live-words]")).to_contain_text(words, timeout=seconds * 1000)


def badge(page: Page, job: Job, words: str, seconds: float = 5) -> None:
    place = page.locator(f"#job-{job.pk} .badge, #job .badge").first
    expect(place).to_contain_text(words, timeout=seconds * 1000)


def is_moved(job: Job, to: State) -> None:
    assert move(job, to, to.label, source=Source.POLL)


def back_and_forth(job: Job, times: int) -> None:
    for number in range(times):
        is_moved(job, (State.DEPLOYING, State.TRAINED)[number % 2])


def polls(page: Page) -> list[str]:
    """The addresses of all pieces that the page asks for from now on."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "seen=" in request.url else None)
    return asked


def test_a_change_reaches_two_browsers_without_a_reload_or_a_poll(visit: Open, alice: User) -> None:
    job = make_job(alice, State.TRAINING)
    pages = [visit(alice), visit(person("charlie", "viewer"))]
    for page in pages:
        says(page, re.compile("^Live$"))
        page.evaluate("document.title")  # a round trip: the first look, at the opening, is over
    asked = [polls(page) for page in pages]
    is_moved(job, State.READY)
    for page in pages:
        badge(page, job, "Ready", seconds=1)
        assert page.evaluate("window.sameDocument") is True
        expect(page.locator("[data-filter=ready] span")).to_have_text("1")
        expect(page.locator("#live [role=status]")).to_have_text("“Day to night”: Ready.")
    assert asked == [[], []]


LOOK_FOR_SHIFTS = """window.shifts = 0;
new PerformanceObserver((list) => list.getEntries().forEach((each) => (window.shifts += each.value)))
    .observe({ type: "layout-shift", buffered: true });"""


@pytest.mark.parametrize("width", [1280, 390])
def test_the_first_load_of_fifty_rows_is_small_and_shifts_nothing(
    visit: Open, browser: Browser, alice: User, web: Web, width: int
) -> None:
    """Nothing is cached yet, and every byte counts: pages, scripts, the worker's, pictures, headers."""
    datasets = [make_dataset(alice, name=name) for name in ("Evening", "Winter")]
    for number in range(50):
        make_job(
            alice, State.READY, dataset=datasets[number % 2], **(PUBLISHED | {"request_id": str(number)})
        )
    proxy = Proxy(web.port)
    context = browser.new_context(base_url=proxy.url, viewport={"width": width, "height": 900})
    context.add_init_script(LOOK_FOR_SHIFTS)
    page = visit(alice, url=proxy.url, within=context.new_page())
    says(page, "Live")
    page.wait_for_load_state("load")
    assert page.locator("#job-table tbody tr").count() == 50
    assert page.locator("link[rel=stylesheet]").count() == 1
    assert proxy.carried < 100_000
    assert page.evaluate("window.shifts") == 0
    assert page.evaluate("document.documentElement.scrollWidth") == width
    context.close()


def test_a_cut_stream_is_told_and_comes_back_with_nothing_missed(visit: Open, alice: User, web: Web) -> None:
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
    says(page, re.compile("^Live$"), seconds=20)
    badge(page, other, "Ready", seconds=1)
    assert page.evaluate("window.sameDocument") is True


def test_a_proxy_that_swallows_the_stream_is_noticed(visit: Open, alice: User, web: Web) -> None:
    proxy = Proxy(web.port)
    proxy.mode = "swallow"
    job = make_job(alice, State.TRAINING)
    page = visit(alice, url=proxy.url)
    says(page, "Checking every 3 s")
    is_moved(job, State.READY)
    badge(page, job, "Ready")


def test_without_a_portal_it_says_so_and_how_old_the_page_is(visit: Open, alice: User, web: Web) -> None:
    page = visit(alice)
    says(page, "Live")
    web.stop()
    says(page, re.compile(r"No connection, trying again · as of \d+ s ago"))
    web.start()
    says(page, re.compile("^Live$"), seconds=20)


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


def test_ten_tabs_share_one_stream(visit: Open, alice: User) -> None:
    """A browser opens six connections to a server; the seventh stream of its own would hang."""
    job = make_job(alice, State.TRAINING)
    first = visit(alice)
    tabs = [first, *(visit(alice, within=first) for _ in range(9))]
    for tab in tabs:
        says(tab, re.compile("^Live$"))
    is_moved(job, State.READY)
    for tab in tabs:
        badge(tab, job, "Ready", seconds=2)


def test_a_browser_without_shared_workers_is_live_too(visit: Open, alice: User) -> None:
    job = make_job(alice, State.TRAINING)
    page = visit(alice)
    page.add_init_script("delete window.SharedWorker")
    page.reload()
    says(page, re.compile("^Live$"))
    is_moved(job, State.READY)
    badge(page, job, "Ready", seconds=1)
