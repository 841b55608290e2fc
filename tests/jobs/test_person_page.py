"""The page of one person: what they trained and uploaded, for everyone on the team to see."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.costs import services as ledger
from finetune_portal.costs.models import CREDITS, Cost
from finetune_portal.jobs import costs
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from tests.people import make_dataset, make_job, signed_in


def page_of(someone: User, viewer: User) -> str:
    return signed_in(viewer).get(f"/team/{someone.pk}/").content.decode()


def tile(html: str, title: str) -> int:
    _, _, rest = html.partition(f"{title}</dt>")
    return int(rest.partition('class="number">')[2].partition("<")[0])


def billed(job: Job, amount: float) -> None:
    ledger.bill(costs.billed_row(job), amount, CREDITS, Cost.Source.BALANCE)


@pytest.mark.parametrize("who", ["alice", "charlie", "dana"])
def test_everyone_sees_what_someone_made(
    who: str, alice: User, bob: User, charlie: User, dana: User, request: pytest.FixtureRequest
) -> None:
    make_job(bob, name="Bob's coats")
    make_job(alice, name="Alice's streets")
    make_dataset(bob, name="bobs-pairs")
    html = page_of(bob, request.getfixturevalue(who))
    assert "Bob&#x27;s coats" in html
    assert "bobs-pairs" in html
    assert "Alice&#x27;s streets" not in html


def test_only_what_was_paid_is_counted_and_by_month(alice: User, settings: Any) -> None:
    make_job(alice, State.READY, sent_at=now())  # by the local engine
    settings.LOCAL_ENGINE = False
    long_ago = now() - timedelta(days=40)
    billed(make_job(alice, State.READY, sent_at=now()), 2.5)
    unbilled = make_job(alice, State.TRAINING, sent_at=now(), credits_after=1000)  # topped up
    costs.follow(unbilled, State.TRAINING, costs.reserve(unbilled, None).pk)
    old = make_job(alice, State.FAILED, sent_at=long_ago)
    billed(old, 3)
    costs.of(old).update(at=long_ago)
    make_job(alice, State.REFUSED, sent_at=now())
    make_job(alice, State.QUEUED)
    html = page_of(alice, alice)
    assert tile(html, "Paid jobs in total") == 3
    assert tile(html, f"Paid jobs in {now():%B}") == 2
    assert tile(html, "Active now") == 2
    assert "about 5.50 credits and 1 without a price" in html
    assert "about 2.50 credits and 1 without a price" in html


def test_it_asks_as_little_for_many_as_for_few(alice: User, django_assert_max_num_queries: Any) -> None:
    for _ in range(30):
        make_job(alice, State.READY, sent_at=now())
    client = signed_in(alice)
    client.get(f"/team/{alice.pk}/")
    with django_assert_max_num_queries(12):
        html = client.get(f"/team/{alice.pk}/").content.decode()
    assert "The newest 10 of 30." in html


def test_a_bad_visit(alice: User, client: Client) -> None:
    assert client.get(f"/team/{alice.pk}/").headers["Location"].startswith("/login/")
    assert signed_in(alice).get("/team/9999/").status_code == 404
