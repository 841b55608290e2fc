"""Budgets: what is over one warns, waits for an approval or stops, and tells whom it concerns."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.core.cache import cache
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.costs import budgets
from finetune_portal.costs.models import Approval, Budget, Cost
from finetune_portal.jobs import costs as job_costs
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.sync.submit import mark_unsent_unconfirmed
from finetune_portal.notifications.models import Channel, Notification
from finetune_portal.notifications.tasks import create_for_approvals
from finetune_portal.web.encryption import encrypt
from tests.fal.server import FakeFal
from tests.gateway.api_client import DETAILS, SUBMIT, call, token_of
from tests.gateway.test_runs import run
from tests.jobs.test_at_fal import followed_until, sent_form, start, transferred
from tests.people import form_data, make_dataset, make_job, signed_in
from tests.playground.conftest import job, ordered, provider, run_task
from tests.provider import PICTURE, ScriptedProvider, says
from tests.worker.driving import fresh, send_now, text_of

__all__ = ["job", "provider"]
KONTEXT, FOUR = "fal-ai/flux-kontext-trainer", "500"  # with the price of the fixture, four dollars


@pytest.fixture
def at_four(fal: FakeFal, at_fal: Connection, settings: Any) -> Connection:
    """A connection at which a job of FOUR steps costs 4 USD, and no budget but those of the test."""
    settings.PROVIDER_ADMIN_KEYS = {"fal": fal.admin_key}
    fal.prices = {KONTEXT: Decimal("0.008")}
    Budget.objects.all().delete()
    return at_fal


def budget(action: str, amount: str = "10", **fields: Any) -> Budget:
    return Budget.objects.create(action=action, amount=Decimal(amount), **{"currency": "USD", **fields})


def reserved() -> Decimal:
    return sum((each.amount or Decimal(0) for each in Cost.objects.all()), Decimal(0))


def form(connection: Connection, owner: User, **fields: Any) -> dict[str, Any]:
    return sent_form(connection, owner, **{"trainer": KONTEXT, "steps": FOUR, **fields})


def one(connection: Connection, owner: User) -> Job:
    return start(signed_in(owner), connection, owner, trainer=KONTEXT, steps=FOUR)


@pytest.mark.django_db
def test_a_budget_that_stops_says_so_and_keeps_the_form(at_four: Connection, alice: User, dana: User) -> None:
    budget("stop", "5", person=alice)
    one(at_four, alice)
    data = form(at_four, alice, name="Second one")
    answer = signed_in(alice).post("/jobs/new/", data)
    assert answer.status_code == 422
    page = answer.content.decode()
    assert "It costs about 4.00 USD, and the budget of “Alice” (5.00 USD a month) has 1.00 USD left." in page
    assert "Second one" in page
    one(at_four, dana)
    budget("stop", "5", connection=at_four)
    data = form(at_four, dana)
    assert "Start anyway" in signed_in(dana).post("/jobs/new/", data).content.decode()
    assert signed_in(dana).post("/jobs/new/", {**data, "exceed": "on"}).status_code == 302


@pytest.mark.django_db
def test_a_budget_that_warns_starts_and_tells(at_four: Connection, alice: User) -> None:
    budget("warn", "5", connection=at_four)
    client = signed_in(alice)
    query = {"connection": at_four.pk, "trainer": KONTEXT, "steps": FOUR}
    assert "5.00 of 5.00 USD" in client.get("/jobs/new/price/", query).content.decode()
    for number in range(2):
        data = form(at_four, alice)
        page = client.post("/jobs/new/", data, follow=True).content.decode()
        assert ("is exceeded: 8.00 of 5.00 USD this month" in page) == (number == 1)
    assert not Job.objects.filter(state=State.APPROVAL).exists()


@pytest.mark.django_db
def test_what_is_refused_or_withdrawn_gives_its_amount_back(
    at_four: Connection, fal: FakeFal, alice: User
) -> None:
    limit = budget("ask", "5", person=alice)
    refused = one(at_four, alice)
    transferred(refused)
    fal.script("submit", says(422, {"detail": "no"}))
    assert send_now(refused).state == State.REFUSED
    assert budgets.spent(limit) == 0
    lost = one(at_four, alice)
    transferred(lost)
    fal.loses_answer = True
    assert send_now(lost).state == State.UNCONFIRMED
    assert budgets.spent(limit) == 4, "kept while nobody knows"
    limit.amount = Decimal(9)
    limit.save()
    withdrawn = one(at_four, alice)
    assert budgets.spent(limit) == 8
    signed_in(alice).post(f"/jobs/{withdrawn.pk}/withdraw/")
    assert budgets.spent(limit) == 4


@pytest.mark.django_db
def test_months_begin_anew_and_currencies_are_apart(at_four: Connection, alice: User) -> None:
    limit = budget("ask", "5", person=alice)
    one(at_four, alice)
    assert budgets.spent(limit) == 4
    assert budgets.spent(budget("ask", currency="credits")) == 0
    Cost.objects.update(at=now() - timedelta(days=32))
    assert budgets.spent(limit) == 0


@pytest.mark.django_db
def test_a_bill_settles_what_was_reserved(at_four: Connection, fal: FakeFal, alice: User) -> None:
    limit = budget("ask", person=alice)
    waiting = one(at_four, alice)
    transferred(waiting)
    sent = send_now(waiting)
    fal.prices = {KONTEXT: Decimal("0.004")}
    fal.finish(fal.jobs[0])
    followed_until(sent, State.READY)
    assert budgets.spent(limit) == fal.charged == 2


@pytest.mark.django_db
def test_a_price_that_rises_before_the_job_is_sent_asks(
    at_four: Connection, fal: FakeFal, alice: User, dana: User
) -> None:
    budget("stop", "5", person=alice)
    waiting = one(at_four, alice)
    transferred(waiting)
    fal.prices = {KONTEXT: Decimal("0.016")}
    cache.clear()
    assert send_now(waiting).state == State.APPROVAL
    assert not fal.jobs
    signed_in(dana).post(f"/jobs/{waiting.pk}/approve/")
    assert send_now(fresh(waiting)).state == State.REQUESTED
    assert job_costs.of(waiting).get().estimate == 8


@pytest.mark.django_db
@pytest.mark.parametrize("action", ["ask", "stop"])
def test_without_a_price_an_admin_is_asked(settings: Any, alice: User, action: str) -> None:
    settings.LOCAL_ENGINE = False
    at_segmind = connections.default()
    Budget.objects.all().delete()
    budget(action, "1000", connection=at_segmind, currency="credits")
    client = signed_in(alice)
    page = client.post("/jobs/new/", form_data(make_dataset(alice)), follow=True).content.decode()
    job = Job.objects.get()
    assert job.state == State.APPROVAL
    assert "No price is known for this, so nobody can say whether it fits the budget of “Segmind”" in page
    assert "Nothing yet" in page
    assert client.post(f"/jobs/{job.pk}/withdraw/").status_code == 302
    assert (fresh(job).state, job_costs.of(job).get().state) == (State.CLOSED, "released")


@pytest.mark.django_db
def test_an_admin_declines_and_the_owner_reads_why(
    at_four: Connection, alice: User, bob: User, dana: User
) -> None:
    budget("ask", "1", person=alice)
    channels = {
        who.name: Channel.objects.create(
            owner=who, kind="email", display_address=who.email, encrypted_address=encrypt(who.email)
        )
        for who in (alice, bob, dana)
    }
    job = one(at_four, alice)
    create_for_approvals()
    assert [(each.channel, each.event) for each in Notification.objects.all()] == [
        (channels["Dana"], "approval")
    ]
    assert f'action="/jobs/{job.pk}/approve/"' in text_of(signed_in(dana), f"/jobs/{job.pk}/")
    assert "it starts by itself" in text_of(signed_in(alice), f"/jobs/{job.pk}/")
    page = text_of(signed_in(dana), "/costs/")
    assert "Waiting for approval" in page
    assert "about 4.00 USD" in page
    assert f'action="/jobs/{job.pk}/approve/"' in page
    assert f'action="/jobs/{job.pk}/approve/"' not in text_of(signed_in(alice), "/costs/")
    assert signed_in(alice).post(f"/jobs/{job.pk}/approve/").status_code == 403
    signed_in(dana).post(f"/jobs/{job.pk}/decline/", {"reason": ""})
    assert fresh(job).state == State.APPROVAL, "a reason has to be typed"
    signed_in(dana).post(f"/jobs/{job.pk}/decline/", {"reason": "After the holidays"})
    assert fresh(job).state == State.CLOSED
    assert "Declined by Dana: After the holidays" in text_of(signed_in(alice), f"/jobs/{job.pk}/")
    create_for_approvals()
    create_for_approvals()
    outcomes = Notification.objects.exclude(event="approval")
    assert [(each.channel, each.event) for each in outcomes] == [(channels["Alice"], "declined")]
    event = AuditEvent.objects.get(action="job.decline")
    assert (event.actor, event.detail["reason"]) == (dana, "After the holidays")
    assert reserved() == 0
    late = signed_in(dana).post(f"/jobs/{job.pk}/approve/", follow=True).content.decode()
    assert "There is nothing left to decide" in late


@pytest.mark.django_db
def test_an_approval_is_recorded_and_its_owner_hears_of_it(
    at_four: Connection, alice: User, dana: User
) -> None:
    budget("ask", "1", person=alice)
    Channel.objects.create(owner=alice, kind="email", display_address="a", encrypted_address=encrypt("a@b.c"))
    job = one(at_four, alice)
    signed_in(dana).post(f"/jobs/{job.pk}/approve/", {"next": "/costs/"})
    create_for_approvals()
    assert Notification.objects.get().event == "approved"
    approval = Approval.objects.get()
    assert (approval.decided_by, approval.is_approved) == (dana, True)
    assert AuditEvent.objects.filter(action="job.approve", actor=dana).count() == 1


@pytest.mark.django_db
def test_a_script_reads_that_its_job_waits(at_four: Connection, alice: User, dana: User) -> None:
    budget("ask", "1", connection=at_four)
    token = token_of(alice, "train")
    fields = {
        "name": "night",
        "data_source_path": "https://files.example/night.zip",
        "instance_prompt": "night",
        "provider": "fal",
        "trainer": KONTEXT,
        "advance_parameters": {"steps": 500, "learning_rate": 0.0001},
    }
    answer = call(token, "POST", SUBMIT, fields)
    assert answer.status_code == 200, answer.content
    body = answer.json()
    assert body["status"] == "WAITING_FOR_APPROVAL"
    assert "waits for the approval of an admin" in body["message"]
    details = {"finetune_id": body["finetune_id"]}
    assert call(token, "GET", DETAILS, details).json()["finetune"]["status"] == "WAITING_FOR_APPROVAL"
    signed_in(dana).post(f"/jobs/{Job.objects.get().pk}/approve/")
    assert call(token, "GET", DETAILS, details).json()["finetune"]["status"] == "REQUESTED"


@pytest.mark.django_db
def test_runs_of_models_keep_to_a_budget(
    provider: ScriptedProvider, job: Job, alice: User, dana: User
) -> None:
    Budget.objects.all().delete()
    budget("stop", "0.1", connection=job.connection, currency="credits")
    token = token_of(alice, "run")
    answer = run(token, seed=1)
    assert answer.status_code == 409
    assert "an admin makes the first run" in answer.json()["error"]
    provider.script("run", says(200, PICTURE, x_cost="0.04"))
    provider.script("run", says(200, PICTURE, x_cost="0.04"))
    ordered(signed_in(dana), job)
    while run_task():
        pass
    assert run(token, seed=2).status_code == 202, "its price is known by now"
    refused = run(token, seed=3)
    assert refused.status_code == 409
    assert "It costs about 0.04 credits" in refused.json()["error"]


@pytest.mark.django_db
def test_a_new_connection_that_costs_money_has_a_budget(dana: User, settings: Any) -> None:
    connections.built_in()
    assert not Budget.objects.exists(), "the local engine is free"
    added = Connection.objects.create(name="Studio", kind="own", base_url="https://api.segmind.com")
    made = Budget.objects.get()
    assert (made.connection, made.amount, made.currency, made.action) == (added, 100, "credits", "warn")
    added.save()
    assert Budget.objects.count() == 1
    page = text_of(signed_in(dana), "/settings/budgets/")
    assert "Studio" in page
    assert "nobody is stopped before the team has decided" in page


@pytest.mark.django_db
def test_admins_add_change_and_remove_budgets(at_four: Connection, alice: User, dana: User) -> None:
    client = signed_in(dana)
    data = {"person": alice.pk, "connection": at_four.pk, "amount": "12.50", "action": "ask"}
    assert client.post("/settings/budgets/", data).status_code == 302
    made = Budget.objects.get()
    assert (made.currency, made.amount, made.title) == ("USD", Decimal("12.5"), "Alice, fal")
    assert "There is a budget of the same" in client.post("/settings/budgets/", data).content.decode()
    assert client.post("/settings/budgets/", {**data, "amount": "-1"}).status_code == 422
    client.post(f"/settings/budgets/{made.pk}/", {"amount": "30", "action": "stop"})
    made.refresh_from_db()
    assert (made.amount, made.action) == (30, "stop")
    changed = AuditEvent.objects.filter(action="budget.set").latest("pk")
    assert changed.change == ("12.500000000 USD ask", "30.000000000 USD stop")
    client.post(f"/settings/budgets/{made.pk}/remove/")
    assert not Budget.objects.exists()


@pytest.mark.django_db
def test_a_restored_job_that_waited_for_approval_is_in_doubt(at_four: Connection, alice: User) -> None:
    budget("ask", "1", person=alice)
    job = one(at_four, alice)
    assert mark_unsent_unconfirmed() == 1
    assert fresh(job).state == State.UNCONFIRMED
    assert reserved() == 4
    assert make_job(alice, State.APPROVAL).can_withdraw
