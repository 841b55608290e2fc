"""Names as long as they may be, without a space, make no page scroll sideways; times are the viewer's own."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils.timezone import now
from playwright.sync_api import Page, expect

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.audit.services import record
from finetune_portal.connections import services as connections
from finetune_portal.costs.models import Budget, Cost
from finetune_portal.gateway.models import PersonalToken
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job, Preset, SavedView
from finetune_portal.jobs.timeline import Source, note
from finetune_portal.notifications.models import Channel
from finetune_portal.projects.models import Member, Project
from finetune_portal.web.encryption import encrypt
from tests.e2e.axe import FITS
from tests.e2e.conftest import Visitor
from tests.e2e.live.conftest import Open
from tests.e2e.live.looking import PUBLISHED
from tests.people import make_dataset, make_job, person
from tests.waiting import until
from tests.web_server import WebServer, session_of

pytestmark = [pytest.mark.browser, pytest.mark.long]
WIDTHS = (390, 768, 1440)
OPEN_ALL = "document.querySelectorAll('main details:not(.menu)').forEach(each => { each.open = true; })"


@pytest.fixture
def dana(web: WebServer) -> User:
    return person("d" * 60, "admin")


@pytest.fixture
def addresses(dana: User) -> list[str]:
    """Every page that shows what people typed, with the longest names there may be."""
    dataset = make_dataset(dana, name="D" * 120, filename=f"{'f' * 200}.zip", version=2)
    verdict = {"problems": ["P" * 200], "warnings": ["W" * 200], "pairs": []}
    refused = make_dataset(dana, stored=False, name="R" * 120, state="rejected", verdict=verdict)
    receiving = make_dataset(dana, stored=False, name="U" * 120, state="receiving", received=10, verdict={})
    texts = {"instance_prompt": "p" * 1000, "note": "n" * 1000, "tags": "t" * 200}
    ready = make_job(dana, State.READY, name="J" * 80, dataset=dataset, ended_at=now(), **PUBLISHED, **texts)
    failed = make_job(dana, State.FAILED, name="F" * 80, dataset=dataset, error="e" * 300, **texts)
    waiting = make_job(dana, State.WAITING, name="Q" * 80, dataset=receiving, **texts)
    for job in (ready, failed, waiting):
        note(job, "E" * 200, source=Source.PORTAL, state=job.state, detail="d" * 500)
    Preset.objects.create(owner=dana, name="K" * 40, learning_rate=0.0001, steps=300)
    SavedView.objects.create(owner=dana, name="V" * 40, query="mine=on")
    PersonalToken.objects.create(owner=dana, name="T" * 60, token_hash="x" * 64, last_four="abcd")
    record(dana, "job.start", ready, name="A" * 80)
    project = Project.objects.create(name="G" * 60, folded_name="g" * 60, is_private=True)
    Member.objects.create(project=project, user=dana)
    Job.objects.filter(pk=ready.pk).update(project=project)
    connection = connections.add(name="C" * 60, provider="fal", key="k" * 40, actor=dana)
    for limited in ({"person": dana}, {"connection": connection}, {"project": project}):
        Budget.objects.create(**limited, currency="USD", amount=Decimal(1), action="warn")
    of_costs = {"person": dana, "project": project, "connection": connection, "currency": "USD"}
    Cost.objects.create(kind="job", subject=1, job=1, title="H" * 80, token="T" * 60, **of_costs)
    shown = {"display_address": "@" * 300, "last_error": "E" * 300, "last_failed_at": now()}
    Channel.objects.create(owner=dana, kind="email", label="N" * 60, encrypted_address=encrypt("a"), **shown)
    pages = [f"/jobs/{job.pk}/" for job in (ready, failed, waiting)]
    pages += [f"/datasets/{row.pk}/" for row in (dataset, refused, receiving)]
    pages += [f"/datasets/{dataset.pk}/pairs/0/", f"/datasets/{dataset.pk}/captions/"]
    compared = f"?job={ready.pk}&job={failed.pk}"
    pages += [f"/jobs/compare/{compared}", f"/try/{compared}", f"/jobs/{ready.pk}/try/", f"/team/{dana.pk}/"]
    pages += ["/", f"/?dataset={dataset.pk}&tag={'t' * 60}", "/jobs/new/", f"/jobs/new/?again={ready.pk}"]
    return [
        *pages,
        "/datasets/",
        "/team/",
        "/settings/",
        "/settings/notices/",
        "/settings/projects/",
        f"/settings/projects/{project.pk}/",
        "/settings/budgets/",
        "/settings/limits/",
        "/settings/models/",
        "/costs/",
        "/costs/?month=all",
        "/api/",
        "/audit/",
        "/tokens/",
        "/profile/",
    ]


def wider(page: Page, address: str) -> str:
    """Name the widest element where the page scrolls sideways."""
    return str(
        page.evaluate(
            """() => {
              const width = document.documentElement.clientWidth;
              const scrolls = (each) => each && (getComputedStyle(each).overflowX !== "visible"
                || scrolls(each.parentElement.closest("body *")));
              const found = [...document.querySelectorAll("body *")].filter((each) =>
                each.getBoundingClientRect().right > width + 1 && !scrolls(each.parentElement));
              return found.slice(-1).map((each) => each.outerHTML.slice(0, 200)).join();
            }"""
        )
    )


def test_the_longest_names_fit_on_every_page(visit: Open, dana: User, addresses: list[str]) -> None:
    page = visit(dana)
    too_wide = []
    for address in addresses:
        page.goto(address)
        page.evaluate(OPEN_ALL)
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 844})
            try:
                until(lambda: bool(page.evaluate(FITS)), seconds=10, why=address)
            except AssertionError:
                too_wide.append((address, width, wider(page, address)))
    assert too_wide == []


def test_times_are_the_viewers_own_and_no_page_stops_counting(
    visitor: Visitor, web: WebServer, dana: User
) -> None:
    """A script that fails at one time leaves all the others in UTC."""
    uploaded = make_dataset(dana, name="Night · and day").created_at + timedelta(hours=9)
    record(dana, "job.start", make_job(dana), name="first")
    made = AuditEvent.objects.latest("at").at
    page = visitor(web.url, session_of(dana), timezone_id="Asia/Tokyo")
    page.clock.install(time=made)
    page.goto("/audit/")
    first = page.locator("#audit-events time").first
    local = made + timedelta(hours=9)
    expect(first).to_have_text(re.compile(rf"^{local.day} {local:%b %Y}, {local:%H}:\d\d:\d\d$"))
    label = f"Night · and day · 6 pairs · {uploaded.day} {uploaded:%b %Y, %H:%M}"
    page.goto("/jobs/new/")
    expect(page.get_by_label("Dataset").locator("option").last).to_have_text(label)
    page.goto("/")
    expect(page.get_by_label("Dataset").locator("option").last).to_have_text(label)
    started = page.locator("#job-table [data-column=started] time").first
    expect(started).to_have_text("just now")
    page.clock.fast_forward("00:20")  # and as long as the pages took
    expect(started).to_have_text("just now")
    page.clock.fast_forward("01:45")
    expect(started).to_have_text("2 minutes ago")
    page.evaluate("document.querySelector('time[data-time]').dataset.time = 'unknown'")
    page.clock.fast_forward("01:00")
    expect(started).to_have_attribute("title", re.compile(":"))
