"""GET /settings/webhooks/deliveries/ and its piece"""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.jobs.models import Job
from finetune_portal.webhooks.models import Delivery
from tests.people import HTMX, make_job, signed_in

PAGE, TABLE = "/settings/webhooks/deliveries/", "/settings/webhooks/deliveries/table/"


@pytest.fixture
def job(alice: User) -> Job:
    return make_job(alice, "training", request_id="f-1", name="Winter coats")


def delivered(job: Job | None = None, event: str = "AVAILABLE", **fields: Any) -> Delivery:
    result = {"result": "looked_up", "outcome": "Looked up: Ready"} if job else {"result": "listed"}
    fields = {
        "processed_at": now(),
        "job": job,
        "request_id": job.request_id if job else "",
        **result,
        **fields,
    }
    return Delivery.objects.create(**{"event": event, "size": 291, **fields})


def rows_of(user: User, query: str = "", url: str = PAGE) -> list[str]:
    """The text of each row, spaces made one."""
    html = signed_in(user).get(f"{url}{query}", headers=HTMX if url == TABLE else {}).content.decode()
    body = html.partition("<tbody>")[2].partition("</tbody>")[0]
    texts = (re.sub(r"<[^>]+>", " ", row) for row in body.split("</tr>")[:-1])
    return [" ".join(text.split()) for text in texts]


def test_it_tells_when_what_and_what_came_of_it(dana: User, job: Job) -> None:
    delivered(job)
    Delivery.objects.create(request_id="other", size=2)
    newest, oldest = rows_of(dana)
    assert f"{now():%Y}" in oldest
    assert oldest.endswith("AVAILABLE Winter coats only these 291 bytes Looked up: Ready")
    assert newest.endswith("not named other 2 bytes Waiting")
    assert f'href="/jobs/{job.pk}/"' in signed_in(dana).get(PAGE).content.decode()


def test_the_same_news_again_is_marked(dana: User, job: Job) -> None:
    for event in ("AVAILABLE", "AVAILABLE", "DEPLOYING"):
        delivered(job, event)
    delivered(None, "TEST")
    delivered(None, "TEST")
    assert ["again" in row for row in rows_of(dana)] == [False, False, False, True, False]


@pytest.mark.parametrize(
    ("query", "events"),
    [
        ("?result=listed", ["TEST"]),
        ("?result=looked_up", ["DEPLOYING", "AVAILABLE"]),
        ("?event=DEPLOYING", ["DEPLOYING"]),
        ("?event=DEPLOYING&result=listed", []),
        ("?job={job}", ["DEPLOYING", "AVAILABLE"]),
        ("?job=x&result=odd", ["TEST", "DEPLOYING", "AVAILABLE"]),
        ("?job=" + "9" * 30, ["TEST", "DEPLOYING", "AVAILABLE"]),
    ],
)
def test_filters_are_in_the_address(dana: User, job: Job, query: str, events: list[str]) -> None:
    for event in ("AVAILABLE", "DEPLOYING"):
        delivered(job, event)
    delivered(None, "TEST")
    rows = rows_of(dana, query.format(job=job.pk))
    assert [
        next(event for event in ("TEST", "DEPLOYING", "AVAILABLE") if event in row) for row in rows
    ] == events


def test_pages_go_by_key_and_keep_the_filter(dana: User, job: Job) -> None:
    for number in range(51):
        delivered(job, size=number)
        delivered(None)
    client = signed_in(dana)
    html = client.get(f"{PAGE}?result=looked_up").content.decode()
    older = html.split('rel="next" href="')[1].split('"')[0].replace("&amp;", "&")
    assert "result=looked_up" in older
    assert len(rows_of(dana, "?result=looked_up")) == 50
    assert len(rows_of(dana, older)) == 1
    assert "every 3s" not in client.get(f"{PAGE}{older}").content.decode(), "an older page stays as it is"


def test_it_asks_again_by_itself_and_gets_only_news(dana: User, job: Job) -> None:
    client = signed_in(dana)
    first = delivered(job)
    html = client.get(PAGE).content.decode()
    address = html.split('id="deliveries"')[1].split('hx-get="')[1].split('"')[0].replace("&amp;", "&")
    assert "every 3s" in html
    assert client.get(address, headers=HTMX).status_code == 204
    second = delivered(job, processed_at=None, result="waiting")
    assert client.get(address, headers=HTMX).status_code == 200
    html = client.get(TABLE, headers=HTMX).content.decode()
    assert html.lstrip().startswith('<section id="deliveries"')
    seen = html.split("seen=")[1].split('"')[0]
    assert client.get(f"{TABLE}?seen={seen}", headers=HTMX).status_code == 204
    Delivery.objects.filter(pk=second.pk).update(processed_at=now())
    assert client.get(f"{TABLE}?seen={seen}", headers=HTMX).status_code == 200
    assert first.pk < second.pk


def test_without_htmx_the_piece_leads_to_the_page(dana: User) -> None:
    assert signed_in(dana).get(TABLE).headers["Location"] == PAGE


def test_an_empty_page_says_what_to_do(dana: User) -> None:
    html = signed_in(dana).get(PAGE).content.decode()
    assert "No deliveries yet" in html
    assert 'href="/settings/webhooks/"' in html
    assert "No matching deliveries" in signed_in(dana).get(f"{PAGE}?event=x").content.decode()


def test_more_rows_need_no_more_queries(dana: User, job: Job) -> None:
    client, counts = signed_in(dana), []
    client.get(PAGE)
    for number in (1, 30):
        for _ in range(number):
            delivered(job)
        with CaptureQueriesContext(connection) as queries:
            client.get(PAGE)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_what_a_sender_writes_is_only_text(dana: User) -> None:
    """H4"""
    delivered(None, "<script>alert(1)</script>", request_id="<img src=x>")
    html = signed_in(dana).get(PAGE).content.decode()
    assert "<script>alert" not in html
    assert "<img src=x" not in html
