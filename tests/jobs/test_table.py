"""GET / and its piece, GET /jobs/table/"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job, Training
from finetune_portal.jobs.timeline import Source, move
from finetune_portal.web.paging import PAGE
from tests.people import HTMX, make_dataset, make_job, signed_in
from tests.worker.driving import fresh, text_of

PIECE = "/jobs/table/"


@pytest.fixture(autouse=True)
def the_connection(db: None) -> None:
    connections.built_in()


def piece(client: Client, **params: str) -> str:
    response = client.get(PIECE, params, headers=HTMX)
    assert response.status_code == 200
    return response.content.decode()


def stamp_in(html: str) -> str:
    """The stamp that the table sends along when it asks again by itself."""
    match = re.search(r'hx-get="/jobs/table/\?[^"]*seen=([^"&]+)"', html)
    assert match
    return match[1]


def shown(html: str) -> list[str]:
    """The names in the table, from top to bottom."""
    return re.findall(r'<a href="/jobs/\d+/" dir="auto">([^<]+)</a>', html)


def link(html: str, text: str) -> str:
    """Where the link with this text leads."""
    match = re.search(rf'<a [^>]*href="([^"]+)"[^>]*>\s*{text}\b', html)
    assert match, text
    return match[1].replace("&amp;", "&")


def test_while_nothing_changed_the_answer_is_empty(alice: User) -> None:
    make_job(alice)
    client = signed_in(alice)
    seen = stamp_in(piece(client))
    response = client.get(PIECE, {"seen": seen}, headers=HTMX)
    assert (response.status_code, response.content) == (204, b"")
    assert client.get(PIECE, {"seen": "another"}, headers=HTMX).status_code == 200


@pytest.mark.parametrize(
    "change",
    [
        lambda job: move(job, State.FAILED, "Failed", source=Source.POLL),
        lambda job: make_job(job.owner, name="new"),
        lambda job: Connection.objects.update(updated_at="2100-01-01T00:00Z"),
        lambda job: Dataset.objects.update(updated_at="2100-01-01T00:00Z"),
        lambda job: Training.objects.create(job=job, percent=60),
    ],
    ids=[
        "a job moves",
        "a job is new",
        "the provider's banner",
        "a dataset's transfer",
        "a training's percent",
    ],
)
def test_a_change_brings_the_table(alice: User, dataset: Dataset, change: Callable[[Job], Any]) -> None:
    job, client = make_job(alice, dataset=dataset), signed_in(alice)
    seen = stamp_in(piece(client))
    change(job)
    assert stamp_in(piece(client, seen=seen)) != seen


def test_a_change_while_the_table_is_made_is_seen_at_the_next_look(alice: User) -> None:
    """The stamp is not newer than the rows: else the old row would stay on the screen."""
    job, client = make_job(alice), signed_in(alice)

    def meanwhile(execute: Any, sql: str, *args: Any) -> Any:
        answer = execute(sql, *args)
        if 'FROM "jobs_job"' in sql and "instance_prompt" in sql:
            move(job, State.READY, "Ready", source=Source.POLL)
        return answer

    with connection.execute_wrapper(meanwhile):
        old = piece(client)
    assert fresh(job).state == "ready"
    assert 'data-state="queued"' in old
    assert 'data-state="ready"' in piece(client, seen=stamp_in(old))


def test_the_piece_is_the_pages_own(alice: User) -> None:
    make_job(alice)
    client = signed_in(alice)
    html = piece(client)
    assert html.lstrip().startswith('<section id="job-table"')
    assert "<html" not in html
    assert shown(text_of(client)) == shown(html) == ["Day to night"]


def test_a_plain_visit_to_the_piece_goes_to_the_page(alice: User) -> None:
    assert signed_in(alice).get(PIECE).headers["Location"] == "/"


def test_an_empty_table_says_what_to_do_first(alice: User, charlie: User) -> None:
    html = text_of(signed_in(alice))
    assert "Drop before and after images" in html
    assert 'href="/jobs/new/"' in html
    assert 'action="/datasets/sample/"' in html
    viewers = text_of(signed_in(charlie))
    assert not any(way in viewers for way in ('href="/jobs/new/"', 'action="/datasets/sample/"'))


def test_filters_stand_in_the_url_and_count(alice: User) -> None:
    for state in ("queued", "training", "ready", "failed", "refused", "closed"):
        make_job(alice, state, name=state)
    client = signed_in(alice)
    html = text_of(client)
    assert shown(html) == ["closed", "refused", "failed", "ready", "training", "queued"]
    assert re.findall(r">([\w ]+) <span>(\d+)</span></a>", html) == [
        ("All", "6"),
        ("Active", "2"),
        ("Ready", "1"),
        ("Failed or closed", "3"),
    ]
    for label, names in (
        ("Active", ["training", "queued"]),
        ("Ready", ["ready"]),
        ("Failed or closed", ["closed", "refused", "failed"]),
    ):
        assert shown(text_of(client, link(html, label))) == names
    assert len(shown(text_of(client, "/?state=nonsense"))) == 6


def test_search_looks_at_names_and_prompts(alice: User) -> None:
    make_job(alice, name="Hats", instance_prompt="put a hat on")
    make_job(alice, name="Night", instance_prompt="turn day into night")
    client = signed_in(alice)
    assert shown(text_of(client, "/?q=hat")) == ["Hats"]
    assert shown(text_of(client, "/?q=DAY+INTO")) == ["Night"]
    assert "No matching jobs" in text_of(client, "/?q=%3Cb%3E")


def test_only_mine(alice: User, bob: User) -> None:
    make_job(alice, name="hers")
    make_job(bob, name="his")
    client = signed_in(bob)
    assert shown(text_of(client, link(text_of(client), "Only mine"))) == ["his"]


def test_a_filter_and_a_search_hold_while_the_table_asks_again(alice: User) -> None:
    make_job(alice, "ready", name="Hats")
    html = text_of(signed_in(alice), "/?state=ready&q=hat")
    match = re.search(r'hx-get="(/jobs/table/[^"]+)"', html)
    assert match
    asks = match[1]
    assert "state=ready" in asks
    assert "q=hat" in asks
    assert signed_in(alice).get(asks.replace("&amp;", "&"), headers=HTMX).status_code == 204


def test_pages_go_there_and_back(alice: User) -> None:
    for number in range(2 * PAGE + 5):
        make_job(alice, name=f"job {number:03}")
    client = signed_in(alice)
    every = [f"job {number:03}" for number in reversed(range(2 * PAGE + 5))]
    first = text_of(client, "/?q=job")
    second = text_of(client, "/" + link(first, "Older"))
    third = text_of(client, "/" + link(second, "Older"))
    assert shown(first) + shown(second) + shown(third) == every
    assert "Older" not in third
    assert "Newer" not in first
    assert shown(text_of(client, "/" + link(third, "Newer"))) == shown(second)
    assert shown(text_of(client, "/" + link(second, "Newer"))) == shown(first)
    assert "q=job" in link(third, "Newer")


def test_the_order_holds_over_pages(alice: User) -> None:
    for number in range(60):
        make_job(alice, State.READY, name=f"Job {number % 3} {number:02}")
    client = signed_in(alice)
    first = text_of(client, "/?sort=name")
    assert first.index("Job 0 57") < first.index("Job 1 01") < first.index("Job 2 02")
    last = Job.objects.order_by("name", "pk")[49]
    second = text_of(client, f"/?sort=name&before={last.pk}~{last.name}")
    assert f'id="job-{last.pk}"' not in second
    assert second.count('<tr id="job-') == 10
    assert "Newer" in second


@pytest.mark.parametrize("where", ["?before=x", "?before=-1", "?after=²", "?before=99999999999999999999"])
def test_a_mangled_page_is_no_error(alice: User, where: str) -> None:
    make_job(alice)
    assert shown(text_of(signed_in(alice), f"/{where}")) == ["Day to night"]


@pytest.mark.parametrize("url", ["/", PIECE])
def test_more_rows_take_no_more_queries(alice: User, bob: User, url: str) -> None:
    """docs/reliability.md, L3."""
    client = signed_in(alice)

    def queries() -> int:
        with CaptureQueriesContext(
            connection,
        ) as captured:
            assert client.get(url, headers=HTMX).status_code == 200
        return len(captured)

    def fill(count: int) -> None:
        for number in range(count):
            owner = (alice, bob, None)[number % 3]
            dataset = make_dataset(owner, data=b"", stored=number % 2 == 0) if owner else None
            make_job(owner, list(State)[number % len(State)], dataset=dataset, request_id=f"{number}-{count}")

    fill(5)
    few = queries()
    fill(55)
    assert queries() == few <= 15


def test_a_viewer_looks_and_downloads_but_changes_nothing(alice: User, charlie: User) -> None:
    job = make_job(alice, "ready", request_id="1", cloud_storage_url="https://a.example/b", slug="s")
    client = signed_in(charlie)
    for url in ("/", f"/jobs/{job.pk}/"):
        html = text_of(client, url)
        assert f'href="/jobs/{job.pk}/download/"' in html
        assert f"/jobs/{job.pk}/public/" not in html
        assert "/jobs/new/" not in html
    assert f"/jobs/{job.pk}/public/" in text_of(signed_in(alice))


@pytest.mark.parametrize(("reported", "shown"), [(14.2, 14), (57.9, 57), (99.7, 99), (0.0, 0)])
def test_row_and_page_show_one_percentage_as_text_and_as_bar(
    alice: User, reported: float, shown: int
) -> None:
    job, client = make_job(alice, "training"), signed_in(alice)
    Training.objects.create(job=job, percent=reported, jobs_ahead=0)
    for html in (piece(client), text_of(client, f"/jobs/{job.pk}/")):
        assert set(re.findall(r"\b(\d+) %", html)) == {str(shown)}
        assert re.findall(r'<progress max="100" value="([^"]*)"', html) == [str(shown)]


@pytest.mark.parametrize(
    "state", ["waiting", "queued", "sending", "requested", "data", "training", "deploying"]
)
def test_no_bar_is_shown_where_no_percentage_is_known(alice: User, state: str) -> None:
    Training.objects.create(job=make_job(alice, state), percent=40, jobs_ahead=2)
    html = piece(signed_in(alice))
    assert "<progress" not in html
    assert "40 %" not in html
