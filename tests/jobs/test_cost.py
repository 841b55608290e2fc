"""What a job cost: told where nothing else can be in it, and never for the local engine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection as connection_of_database
from django.test.utils import CaptureQueriesContext

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.costs import services as ledger
from finetune_portal.costs.models import USD, Cost
from finetune_portal.jobs import costs
from finetune_portal.jobs.models import Job
from tests.people import form_data, make_dataset, make_job, signed_in
from tests.provider import PRICE, ScriptedProvider, says
from tests.worker.driving import follow_now, followed_until, fresh, point_at, send_now, text_of, transfer_now


@pytest.fixture
def provider(settings: Any, db: None) -> Iterator[ScriptedProvider]:
    settings.LOCAL_ENGINE = False
    with ScriptedProvider() as running:
        point_at(settings, running)
        follow_now()  # so that the balance is known when a job is sent
        yield running


def sent(owner: User, name: str) -> Job:
    dataset = make_dataset(owner, stored=False)
    transfer_now(dataset)
    return send_now(make_job(owner, name=name, dataset=dataset))


def ended(job: Job) -> Job:
    followed_until(job)
    follow_now()
    return fresh(job)


def cost_on_page(job: Job, viewer: User) -> str:
    _, _, rest = text_of(signed_in(viewer), f"/jobs/{job.pk}/").partition("<dt>Cost</dt>")
    return rest.partition("</dd>")[0]


def test_a_job_alone_costs_what_the_balance_fell_by(alice: User, provider: ScriptedProvider) -> None:
    first = sent(alice, "first")
    assert "The provider publishes no price." in cost_on_page(first, alice)
    first = ended(first)
    second = ended(sent(alice, "second"))
    assert (first.cost, second.cost) == (PRICE, PRICE)
    assert f'about <span class="number">{PRICE:.2f}</span> credits' in cost_on_page(first, alice)


def test_jobs_that_overlap_have_no_cost_of_their_own(alice: User, provider: ScriptedProvider) -> None:
    """Else each of them would name the cost of all."""
    jobs = [sent(alice, name) for name in ("first", "second")]
    jobs = [ended(job) for job in jobs]
    assert all(job.credits_after is not None and job.cost is None for job in jobs)
    assert "Unknown" in cost_on_page(jobs[0], alice)
    compared = text_of(signed_in(alice), f"/jobs/compare/?job={jobs[0].pk}&job={jobs[1].pk}")
    assert '<th scope="row">Cost</th>' not in compared
    assert " credits" not in text_of(signed_in(alice), f"/team/{alice.pk}/").partition("<dl")[2]


def test_the_comparison_has_the_figure_of_the_page(alice: User, provider: ScriptedProvider) -> None:
    connection = connections.default()
    jobs = [make_job(alice, "ready", name=name, connection=connection, request_id=name) for name in "ab"]
    url = f"/jobs/compare/?job={jobs[0].pk}&job={jobs[1].pk}"
    for job in jobs:
        cost = costs.reserve(job, None)
        assert cost
        rows = Cost.objects.filter(pk=cost.pk)
        ledger.bill(rows, Decimal("0.0375"), USD, Cost.Source.BILL)
        Job.objects.filter(pk=job.pk).update(cost=0.0375, currency=USD)
    assert '<span class="number">0.0375</span> USD' in cost_on_page(jobs[0], alice)
    with CaptureQueriesContext(connection_of_database) as few:
        compared = text_of(signed_in(alice), url)
    _, _, row = compared.partition('<th scope="row">Cost</th>')
    assert row.partition("</tr>")[0].count(">0.0375 USD<") == 2
    more = make_job(alice, "ready", name="c", connection=connection, request_id="c", cost=2.5)
    with CaptureQueriesContext(connection_of_database) as many:
        compared = text_of(signed_in(alice), f"{url}&job={more.pk}")
    assert ">about 2.50 credits<" in compared, "one that was started outside the portal has no row"
    assert len(many) == len(few)


def test_a_job_that_began_before_the_other_ended_overlaps(alice: User, provider: ScriptedProvider) -> None:
    provider.states = ("REQUESTED", "AVAILABLE")
    first = sent(alice, "first")
    follow_now()
    second = sent(alice, "second")
    first, second = ended(first), ended(second)
    assert (first.cost, second.cost) == (None, None)


def test_jobs_of_another_account_do_not_overlap(alice: User, provider: ScriptedProvider) -> None:
    other = Connection.objects.create(name="Other", base_url="https://api.segmind.com")
    make_job(alice, "training", connection=other, sent_at=connections.default().credits_at)
    assert ended(sent(alice, "first")).cost == PRICE


def test_a_job_during_a_paid_generation_has_no_cost(alice: User, provider: ScriptedProvider) -> None:
    job = sent(alice, "first")
    connections.note_other_payment(job.connection)
    assert ended(job).cost is None


def test_a_balance_that_rose_makes_no_cost(alice: User, provider: ScriptedProvider) -> None:
    job = sent(alice, "first")
    Job.objects.update(credits_before=1.0)
    assert ended(job).cost is None


def test_the_local_engine_has_no_price_anywhere(alice: User, dana: User, settings: Any) -> None:
    settings.LOCAL_ENGINE = True
    with ScriptedProvider() as running:
        running.can = ("progress", "cancel")
        point_at(settings, running)
        follow_now()
        assert Connection.objects.get().credits is not None
        job = sent(alice, "first")
        dataset = make_dataset(alice)
        accounts = "The provider accounts that run jobs and pay for them."
        several = form_data(dataset, steps="300; 500")
        pages = [
            text_of(signed_in(dana), "/settings/"),
            text_of(signed_in(alice), f"/jobs/{job.pk}/"),
            signed_in(alice).post("/jobs/new/", several).content.decode(),
            text_of(signed_in(alice), f"/jobs/{ended(job).pk}/"),
        ]
        running.script("submit", says(400, {"error": "steps is too big"}))
        refused = sent(alice, "refused")
        assert refused.error.endswith("It says: steps is too big.")
        lost = [
            make_job(alice, state, name=state, error="The answer was lost.")
            for state in ("unconfirmed", "needs_decision")
        ]
        pages += [text_of(signed_in(dana), f"/jobs/{each.pk}/") for each in (refused, *lost)]
        signed_in(dana).post(f"/jobs/{lost[1].pk}/decide/", {"decision": "resend"})
        pages.append(text_of(signed_in(dana), f"/jobs/{lost[1].pk}/"))
        for page in pages:
            shown = re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)
            assert "credits" not in shown
            shown = shown.replace(accounts, "")  # of the settings, whatever connections there are
            assert re.findall(r"[^<>]*\b(?:paid|pay|charged)\b[^<>]*", shown) == []
