"""What the ledger has of each paid act equals what the fakes charged, to the last cent."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection as database
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from finetune_portal.costs import totals
from finetune_portal.costs.models import Cost
from finetune_portal.jobs import costs as job_costs
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job, Training
from finetune_portal.jobs.sync import follow
from finetune_portal.playground import costs as run_costs
from finetune_portal.playground import generate
from finetune_portal.playground.models import Generation
from finetune_portal.projects import services as projects
from finetune_portal.providers.contract import Money, Price
from finetune_portal.providers.errors import UnavailableError
from tests.fal.server import FakeFal
from tests.gateway.api_client import token_of
from tests.gateway.test_runs import run
from tests.jobs.test_at_fal import follow_connection, followed_until, lost, start, transferred
from tests.people import make_dataset, make_job, signed_in
from tests.playground.conftest import job, ordered, provider, run_task
from tests.provider import PICTURE, PRICE, ScriptedProvider, breaks, says
from tests.worker.driving import follow_now, fresh, send_now, text_of, transfer_now
from tests.worker.driving import followed_until as listed_until

__all__ = ["job", "provider"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def billed_fal(fal: FakeFal, at_fal: Connection, settings: Any) -> FakeFal:
    """A fal that tells what it billed."""
    settings.PROVIDER_ADMIN_KEYS = {"fal": fal.admin_key}
    return fal


def sums(user: User, **query: str) -> dict[str, dict[str, str]]:
    """The lines of the CSV by their first cell."""
    answer = signed_in(user).get("/costs/csv/", query)
    return {row["person"]: row for row in csv.DictReader(io.StringIO(answer.content.decode()))}


def cost_of(job: Job) -> Cost:
    return job_costs.of(job).get()


def test_a_sum_is_exact_in_both_databases(alice: User, at_fal: Connection) -> None:
    """Ten times ten cents are a dollar, and a billionth is not lost."""
    for number in range(10):
        fields = {"kind": "job", "subject": number, "job": number, "connection": at_fal, "currency": "USD"}
        bill = Decimal("0.1") + (Decimal("0.000000001") if number == 0 else 0)
        Cost.objects.create(person=alice, state="billed", bill=bill, **fields)
    (line,) = totals.totals(Cost.objects.all())
    assert line.total == Decimal("1.000000001")
    with database.cursor() as cursor:
        cursor.execute("SELECT bill FROM costs_cost ORDER BY subject")
        assert cursor.fetchone()[0] == 100_000_001


def test_jobs_at_fal_cost_what_fal_charged(
    billed_fal: FakeFal, at_fal: Connection, alice: User, bob: User, dana: User
) -> None:
    for person, steps in ((alice, "500"), (alice, "1300"), (bob, "700")):
        waiting = start(signed_in(person), at_fal, person, steps=steps)
        assert cost_of(waiting).state == Cost.State.RESERVED
        assert cost_of(waiting).estimate, "the price is there before it is sent"
        transferred(waiting)
        sent = send_now(waiting)
        assert cost_of(sent).state == Cost.State.UNBILLED
        assert sent.submit_attempts.get().cost == cost_of(sent)
        billed_fal.finish(billed_fal.jobs[-1])
        cost = cost_of(followed_until(sent, State.READY))
        assert (cost.state, cost.bill, cost.currency) == ("billed", billed_fal.jobs[-1].cost, "USD")
        assert cost.billed_at
        assert cost.estimate
        assert cost.person == person
    (line,) = totals.totals(Cost.objects.all())
    assert line.total == line.billed == billed_fal.charged
    rows = sums(dana)
    alices = sum((each.cost or Decimal(0) for each in billed_fal.jobs[:2]), Decimal(0))
    assert Decimal(rows["Alice"]["total"]) == alices
    assert Decimal(rows["Bob"]["billed"]) == billed_fal.jobs[2].cost
    assert f"{alices:.2f}" in text_of(signed_in(dana), "/costs/")


def test_the_bill_of_a_job_is_fetched_though_its_model_was_deleted_before(
    billed_fal: FakeFal, at_fal: Connection, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = start(signed_in(alice), at_fal, alice, steps="500")
    transferred(waiting)
    sent = send_now(waiting)
    with monkeypatch.context() as late:  # fal bills minutes after the end
        late.setattr("finetune_portal.jobs.sync.cost._ask_for_bill", lambda *_: None)
        billed_fal.finish(billed_fal.jobs[-1])
        job = followed_until(sent, State.READY)
    assert cost_of(job).state == Cost.State.UNBILLED
    signed_in(alice).post(f"/jobs/{job.pk}/delete-model/")
    assert fresh(job).model_deleted_at
    Training.objects.update(due_at=now() - timedelta(seconds=1))
    assert follow.follow_next()
    assert (cost_of(job).state, cost_of(job).bill) == ("billed", billed_fal.charged)
    assert Training.objects.get().is_over
    assert (fresh(job).can_download, fresh(job).file_check_requested_at) == (False, None)


def test_a_refused_job_costs_nothing(billed_fal: FakeFal, at_fal: Connection, alice: User) -> None:
    waiting = start(signed_in(alice), at_fal, alice)
    transferred(waiting)
    billed_fal.script("submit", says(422, {"detail": "no"}))
    refused = send_now(waiting)
    assert refused.state == State.REFUSED
    assert cost_of(refused).amount == 0
    withdrawn = start(signed_in(alice), at_fal, alice)
    signed_in(alice).post(f"/jobs/{withdrawn.pk}/withdraw/")
    assert cost_of(withdrawn).amount == 0
    assert billed_fal.charged == 0


def test_a_lost_job_counts_until_it_is_known(billed_fal: FakeFal, at_fal: Connection, alice: User) -> None:
    waiting = start(signed_in(alice), at_fal, alice)
    transferred(waiting)
    job = lost(waiting, billed_fal, loses_answer=True)
    cost = cost_of(job)
    assert (cost.state, cost.amount) == ("unconfirmed", cost.estimate)
    billed_fal.finish(billed_fal.jobs[0])
    follow_connection()
    job = followed_until(fresh(job), State.READY)
    assert (cost_of(job).state, cost_of(job).bill) == ("billed", billed_fal.charged)


def test_a_job_that_was_paid_twice_costs_twice(
    billed_fal: FakeFal, at_fal: Connection, alice: User, dana: User
) -> None:
    waiting = start(signed_in(alice), at_fal, alice)
    transferred(waiting)
    job = lost(waiting, billed_fal, loses_answer=True, history_hole=True)
    Job.objects.filter(pk=job.pk).update(state=State.NEEDS_DECISION)
    billed_fal.loses_answer = billed_fal.history_hole = False
    signed_in(dana).post(f"/jobs/{job.pk}/decide/", {"decision": "resend", "confirmed": "on"})
    assert [each.state for each in job_costs.of(job)] == ["reserved", "unconfirmed"]
    send_now(fresh(job))
    for paid in billed_fal.jobs:
        paid.hidden = 0
        billed_fal.finish(paid)
    Connection.objects.update(checked_at=now().replace(year=2000))
    follow_connection()
    second = Job.objects.latest("pk")
    assert second.pk != job.pk
    for each in (job, second):
        if fresh(each).state != State.READY:  # the first call is for either of them
            followed_until(each, State.READY)
        assert cost_of(each).state == "billed"
    (line,) = totals.totals(Cost.objects.all())
    assert (line.jobs, line.total) == (2, billed_fal.charged)


def test_without_bills_the_total_is_an_estimate_and_says_so(
    fal: FakeFal, at_fal: Connection, alice: User
) -> None:
    waiting = start(signed_in(alice), at_fal, alice)
    transferred(waiting)
    job = followed_until(send_now(waiting), State.READY)
    (line,) = totals.totals(Cost.objects.all())
    assert (line.billed, line.unbilled) == (0, cost_of(job).estimate)
    assert "Estimated, no bill yet" in text_of(signed_in(alice), "/costs/")


def test_jobs_at_segmind_cost_what_the_balance_fell_by(provider: ScriptedProvider, alice: User) -> None:
    follow_now()
    for _ in range(3):
        dataset = make_dataset(alice, stored=False)
        transfer_now(dataset)
        queued = make_job(alice, dataset=dataset)
        listed_until(send_now(queued))
        follow_now()
    (line,) = totals.totals(Cost.objects.all())
    assert (line.jobs, line.currency) == (3, "credits")
    assert line.total == Decimal(str(PRICE)) * len(provider.jobs)


def test_each_run_costs_what_the_answer_says(
    provider: ScriptedProvider, job: Job, alice: User, dana: User
) -> None:
    """In the playground and by the API, with pictures that arrive and one that does not."""
    charged = ["0.04", "0.0375", "0.1", "0.000000001"]
    for price in charged:
        provider.script("run", says(200, PICTURE, x_cost=price))
    token = token_of(alice, "run")
    for seed in (1, 2):
        assert run(token, seed=seed).status_code == 202
        while run_task():
            pass
    for _ in range(2):
        ordered(signed_in(alice), job)
        while run_task():
            pass
    (line,) = totals.totals(Cost.objects.filter(kind="generation"))
    assert (line.generations, line.total) == (4, sum(map(Decimal, charged)))
    assert Decimal(sums(dana)["Alice"]["total"]) == line.total
    by_api = Cost.objects.exclude(token="")
    assert [each.bill for each in by_api.order_by("pk")] == [Decimal("0.04"), Decimal("0.0375")]
    each = text_of(signed_in(dana), "/costs/?by=each")
    assert "API run by nightly" in each
    assert "Run in the playground" in each


def test_a_run_without_a_price_is_counted_and_not_as_nothing(
    provider: ScriptedProvider, job: Job, alice: User
) -> None:
    provider.script("run", says(200, PICTURE))
    ordered(signed_in(alice), job)
    while run_task():
        pass
    cost = Cost.objects.get()
    assert (cost.state, cost.amount) == ("unbilled", None)
    page = " ".join(text_of(signed_in(alice), "/costs/").split())
    assert 'Without a price</dt><dd class="number">1 <span class="muted small">not in the total' in page


def test_a_run_that_is_made_again_costs_again(provider: ScriptedProvider, job: Job, alice: User) -> None:
    provider.script("run", breaks(taken=True))
    generation = ordered(signed_in(alice), job)
    while run_task():
        pass
    assert Cost.objects.get().state == "unconfirmed"
    provider.script("run", says(200, PICTURE, x_cost="0.04"))
    signed_in(alice).post(f"/try/runs/{generation.pk}/again/")
    while run_task():
        pass
    assert [each.state for each in Cost.objects.order_by("number")] == ["unconfirmed", "billed"]
    signed_in(alice).post(f"/try/runs/{generation.pk}/delete/")
    assert Cost.objects.count() == 2, "what was paid stays"


def test_a_refused_run_costs_nothing(provider: ScriptedProvider, job: Job, alice: User) -> None:
    provider.script("run", says(401, {"error": "Unauthorized"}))
    ordered(signed_in(alice), job)
    while run_task():
        pass
    assert Cost.objects.get().state == "released"
    queued = ordered(signed_in(alice), job)
    signed_in(alice).post(f"/try/runs/{queued.pk}/delete/")
    assert Cost.objects.latest("pk").state == "released"


def test_a_run_that_is_deleted_while_it_is_made_is_unconfirmed_if_its_worker_dies(
    provider: ScriptedProvider, job: Job, alice: User
) -> None:
    """Nothing asks for it any more, and nobody knows whether it was charged."""
    generation = ordered(signed_in(alice), job)
    killed = {"state": "running", "started_at": now(), "lease_expires_at": now() - timedelta(seconds=1)}
    Generation.objects.filter(pk=generation.pk).update(**killed)
    assert Cost.objects.get().state == "reserved"
    signed_in(alice).post(f"/try/runs/{generation.pk}/delete/")
    assert not run_task()
    assert Cost.objects.get().state == "unconfirmed"
    page = text_of(signed_in(alice), "/costs/?by=each")
    assert "Answer lost" in page
    assert "Not sent yet" not in page


def test_what_the_worker_of_a_deleted_run_still_learns_counts(
    provider: ScriptedProvider, job: Job, alice: User
) -> None:
    for state, learn in (
        ("released", run_costs.release),
        ("unbilled", run_costs.accept),
        ("billed", lambda run: run_costs.bill(run, 0.04)),
    ):
        generation = ordered(signed_in(alice), job)
        Generation.objects.filter(pk=generation.pk).update(state="running")
        generation.refresh_from_db()
        signed_in(alice).post(f"/try/runs/{generation.pk}/delete/")
        learn(generation)
        assert Cost.objects.latest("pk").state == state


def test_a_run_that_was_deleted_and_certainly_not_sent_costs_nothing(
    provider: ScriptedProvider, job: Job, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker would have sent it again, which nobody does now."""
    generation = ordered(signed_in(alice), job)

    def deleted_meanwhile(*_: Any) -> bytes:
        signed_in(alice).post(f"/try/runs/{generation.pk}/delete/")
        assert Cost.objects.get().state == "unconfirmed", "until the worker says more"
        refused = UnavailableError("The provider cannot be reached.", retry_after=None)
        refused.may_have_been_sent = False
        raise refused

    monkeypatch.setattr(generate, "_picture_of", deleted_meanwhile)
    run_task()
    assert not Generation.objects.exists()
    assert Cost.objects.get().state == "released"


def test_who_had_left_a_private_project_sees_own_amounts_without_a_name_once_it_is_deleted(
    at_fal: Connection, alice: User, bob: User, dana: User
) -> None:
    """Then nothing is left that an amount could tell of, and sums of a person are whole again."""
    project = projects.add("Secret client", actor=dana)
    projects.set_private(project, private=True, actor=dana)
    for person in (alice, bob):
        job = make_job(person, "failed", connection=at_fal, project=project, name="Secret hats", trainer="t")
        job_costs.reserve(job, Money(Decimal("7351.25"), "USD", Price.ESTIMATE))
    assert "7,351" not in text_of(signed_in(alice), "/costs/")
    signed_in(dana).post(f"/settings/projects/{project.pk}/delete/")
    client = signed_in(alice)
    for path in ("/costs/", "/costs/?by=each", "/costs/?by=project", "/costs/csv/?by=each"):
        page = client.get(path).content.decode()
        assert re.search(r"7,?351\.25", page), path
        assert "Secret" not in page, path
    assert "14,702" not in text_of(client, "/costs/"), "only the own ones"
    assert "14,702.50" in text_of(signed_in(dana), "/costs/?by=project")


def test_a_deleted_job_stays_in_the_sums_without_its_name(at_fal: Connection, alice: User) -> None:
    deleted = make_job(alice, "failed", connection=at_fal, name="Secret client", trainer="t")
    job_costs.reserve(deleted, None)
    signed_in(alice).post(f"/jobs/{deleted.pk}/delete/")
    assert not Job.objects.exists()
    page = text_of(signed_in(alice), "/costs/?by=each")
    assert "Deleted job" in page
    assert "Secret client" not in page


@pytest.mark.parametrize("then", ["stays", "is deleted", "is moved out"])
def test_who_left_a_private_project_no_longer_sees_what_it_costs(
    at_fal: Connection, alice: User, dana: User, then: str
) -> None:
    project = projects.add("Secret client", actor=dana)
    projects.set_private(project, private=True, actor=dana)
    job = make_job(alice, "failed", connection=at_fal, project=project, trainer="t")
    job_costs.reserve(job, Money(Decimal("7351.25"), "USD", Price.ESTIMATE))
    if then == "is deleted":
        signed_in(dana).post(f"/jobs/{job.pk}/delete/")
    if then == "is moved out":
        signed_in(dana).post(f"/jobs/{job.pk}/project/", {"project": ""})
    client = signed_in(alice)
    for path in ("/costs/?by=each", "/costs/?by=project", "/costs/csv/?by=each", "/costs/csv/?by=project"):
        page = client.get(path).content.decode()
        assert not [each for each in ("Secret client", "7351", "7,351") if each in page], path
    projects.add_member(project, alice, actor=dana)
    assert "Secret client" in text_of(client, "/costs/?by=project")


def test_the_local_engine_costs_nothing(alice: User) -> None:
    client = signed_in(alice)
    client.post("/jobs/new/", {"dataset": make_dataset(alice).pk})
    make_job(alice, "ready")
    assert not Cost.objects.exists()
    assert "Nothing was paid" in text_of(client, "/costs/")


def test_everyone_sees_their_own_and_admins_all(
    at_fal: Connection, alice: User, bob: User, dana: User
) -> None:
    for number, person in enumerate((alice, bob)):
        fields = {"kind": "job", "subject": number, "job": number, "connection": at_fal, "currency": "USD"}
        Cost.objects.create(person=person, title=f"=of {person.name}", **fields)
    assert set(sums(alice)) == {"Alice"}
    assert set(sums(dana)) == {"Alice", "Bob"}
    assert set(sums(alice, person=str(bob.pk))) == {"Alice"}
    assert "of Bob" not in text_of(signed_in(alice), "/costs/?by=each")
    exported = signed_in(dana).get("/costs/csv/", {"by": "each"}).content.decode()
    assert '"\'=of Bob"' in exported, "no spreadsheet takes it for a formula"
    assert '"=of' not in exported


@pytest.mark.parametrize(
    "query", ["?month=2026-99", "?month=9999-12", "?by=nothing", "?person=x&connection=-1"]
)
def test_a_bad_filter_shows_a_page(at_fal: Connection, alice: User, query: str) -> None:
    assert "Costs" in text_of(signed_in(alice), f"/costs/{query}")


def test_months_are_apart(at_fal: Connection, alice: User) -> None:
    for number, at in enumerate((now(), now().replace(year=2020, month=12))):
        fields = {"kind": "job", "subject": number, "job": number, "connection": at_fal, "currency": "USD"}
        Cost.objects.create(person=alice, at=at, estimate=Decimal(number + 1), **fields)
    client = signed_in(alice)
    assert "<strong>1.00</strong>" in text_of(client, "/costs/")
    assert "<strong>2.00</strong>" in text_of(client, "/costs/?month=2020-12")
    by_month = text_of(client, "/costs/?by=month")
    assert "December 2020" in by_month
