"""The table's filters: each narrows, all hold together, and what is counted is what a click shows."""

from __future__ import annotations

import re
import uuid
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.core.cache import caches
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from tests.jobs.test_table import link, shown
from tests.people import make_dataset, make_job, signed_in
from tests.worker.driving import text_of

SWEEP = uuid.UUID("6f0c2f5e-3d1a-4c1e-9d54-2b7a4f6c8e10")
EVERYTHING = f"state=ready&mine=on&by=1&dataset=1&public=off&tag=moon&sweep={SWEEP}&archived=on&sort=name&q=a"


@pytest.fixture(autouse=True)
def the_connection(db: None) -> None:
    connections.built_in()


@pytest.fixture
def client(alice: User, bob: User) -> Client:
    """Alice's table: two ready and one failed of hers, a failed and an archived one of Bob's."""
    winter, neon = make_dataset(alice, name="Winter"), make_dataset(bob, name="Neon")
    make_job(alice, State.READY, name="a1", dataset=winter, is_public=True, request_id="1", sweep=SWEEP)
    make_job(alice, State.READY, name="a2", dataset=neon, tags="moon, night")
    make_job(alice, State.FAILED, name="a3", dataset=winter, sweep=SWEEP)
    make_job(bob, State.FAILED, name="b1", dataset=neon)
    make_job(bob, State.READY, name="b2", dataset=neon, archived_at="2026-01-01T00:00Z")
    return signed_in(alice)


def counts(html: str) -> list[str]:
    """All, active, ready, failed or closed, as the tabs say."""
    return re.findall(r'data-filter="\w*"[^>]*>[\w ]+?(?: <span>([^<]*)</span>)?</a>', html)


@pytest.mark.parametrize(
    ("query", "names", "expected"),
    [
        ("", ["b1", "a3", "a2", "a1"], ["4", "0", "2", "2"]),
        ("state=failed", ["b1", "a3"], ["4", "0", "2", "2"]),
        ("mine=on", ["a3", "a2", "a1"], ["3", "0", "2", "1"]),
        ("mine=on&state=ready", ["a2", "a1"], ["3", "0", "2", "1"]),
        ("by=bob", ["b1"], ["1", "0", "0", "1"]),
        ("dataset=Winter", ["a3", "a1"], ["2", "0", "1", "1"]),
        ("public=on", ["a1"], ["1", "0", "1", "0"]),
        ("public=off&mine=on", ["a3", "a2"], ["2", "0", "1", "1"]),
        (f"sweep={SWEEP}", ["a3", "a1"], ["2", "0", "1", "1"]),
        ("archived=on", ["b2"], ["1", "0", "1", "0"]),
        ("q=a", ["a3", "a2", "a1", "b1"], ["", "", "", ""]),
        ("tag=moon", ["a2"], ["", "", "", ""]),
    ],
)
def test_each_filter_narrows_and_the_tabs_count_what_they_lead_to(
    client: Client, query: str, names: list[str], expected: list[str]
) -> None:
    for key, value in (
        ("by=bob", f"by={User.objects.get(name='Bob').pk}"),
        ("dataset=Winter", f"dataset={Job.objects.get(name='a1').dataset_id}"),
    ):
        query = query.replace(key, value)
    html = text_of(client, f"/?{query}&sort=changed")  # an order in which a sweep is not one row
    assert sorted(shown(html)) == sorted(names)
    assert counts(html) == expected


def test_a_search_and_the_menu_keep_what_else_was_chosen(client: Client) -> None:
    html = text_of(client, f"/?{EVERYTHING}&before=9")
    wanted = parse_qs(EVERYTHING)
    search, menu = re.findall(r'<form[^>]*method="get".*?</form>', html, re.DOTALL)
    hidden = r'<input type="hidden" name="(\w+)" value="([^"]*)">'
    assert dict(re.findall(hidden, search)) == {k: v[0] for k, v in wanted.items() if k != "q"}
    assert set(dict(re.findall(hidden, menu))) == {"state", "mine", "sweep", "q"}
    for name in ("by", "dataset", "public", "tag", "sort", "archived"):
        assert f'name="{name}"' in menu
    tab = parse_qs(urlsplit(link(html, "Failed or closed")).query)
    assert tab == {**wanted, "state": ["failed"]}


def test_what_the_table_is_narrowed_to_is_told_and_taken_away_by_a_click(client: Client) -> None:
    job = Job.objects.get(name="a1")
    html = text_of(client, f"/?dataset={job.dataset_id}&public=on&state=ready&sweep={SWEEP}")
    chips = dict(re.findall(r'<a class="chip" href="([^"]+)">([^<]+?) <svg', html))
    assert list(chips.values()) == ["Winter", "Public", "One sweep"]
    without = next(address for address, label in chips.items() if label == "Winter").replace("&amp;", "&")
    assert parse_qs(urlsplit(without).query) == {
        "public": ["on"],
        "state": ["ready"],
        "sweep": [str(SWEEP)],
    }
    assert f'href="/jobs/compare/?sweep={SWEEP}"' in html
    assert 'class="chip"' not in text_of(client, "/?state=ready&mine=on&q=a&sort=name")


def test_a_dataset_beyond_the_menu_is_still_told_by_name(client: Client, alice: User) -> None:
    for number in range(51):
        make_dataset(alice, data=b"", stored=False, name=f"later {number}")
    job = Job.objects.get(name="a1")
    html = text_of(client, f"/?dataset={job.dataset_id}")
    assert re.search(f'<option value="{job.dataset_id}" [^>]*selected>Winter · ', html)
    assert ">Winter · " not in text_of(client)


def test_undo_comes_back_to_the_filter(client: Client) -> None:
    job = Job.objects.get(name="a3")
    data: dict[str, Any] = {"job": [job.pk], "action": "archive", "query": "state=failed&mine=on"}
    page = client.post("/jobs/bulk/", data, follow=True).content.decode()
    undo = re.search(r'formaction="/jobs/bulk/undo/" name="query" value="([^"]*)"', page)
    assert undo
    query = undo[1].replace("&amp;", "&")
    assert client.post("/jobs/bulk/undo/", {"query": query}).headers["Location"] == "/?state=failed&mine=on"


@pytest.mark.parametrize("query", ["state=ready", "mine=on", "dataset=1", "public=on", "q=a", "tag=m"])
def test_a_filter_takes_no_more_queries_for_more_rows(client: Client, alice: User, query: str) -> None:
    def queries() -> int:
        caches["process"].clear()  # of rows, and of when she was seen
        with CaptureQueriesContext(connection) as captured:
            assert client.get(f"/?{query}").status_code == 200
        return len(captured)

    queries()  # her first visit is noted in another way
    few = queries()
    for number in range(40):
        make_job(alice, State.READY, request_id=f"n{number}", is_public=True, tags="moon")
    assert queries() == few <= 25
