"""A job at a provider without a list, from the form to the file: the fake fal has the ledger."""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections import rate_limit
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Transfer
from finetune_portal.datasets.transfer import transfer_next
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job, Training
from finetune_portal.jobs.sync import follow, poll
from finetune_portal.registry import copying
from finetune_portal.worker import tasks
from tests import databases
from tests.fal.calls import KLEIN, packed
from tests.fal.server import FakeFal
from tests.people import form_data, make_dataset, signed_in
from tests.provider import PICTURE, says
from tests.provider.results import WEIGHTS
from tests.waiting import until
from tests.worker.driving import fresh, send_now, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def connection(at_fal: Connection) -> Connection:
    return at_fal


def sent_form(connection: Connection, owner: User, **fields: Any) -> dict[str, Any]:
    data = form_data(make_dataset(owner, stored=False))
    return {**data, "connection": connection.pk, "trainer": KLEIN, "steps": "500", **fields}


def start(client: Client, connection: Connection, owner: User, **fields: Any) -> Job:
    response = client.post("/jobs/new/", sent_form(connection, owner, **fields))
    assert response.status_code in (200, 302), response.content.decode()
    return Job.objects.latest("pk")


def transferred(job: Job) -> None:
    Transfer.objects.update(due_at=now())
    assert transfer_next()
    assert Transfer.objects.get(dataset=job.dataset).finished_at


def follow_connection() -> None:
    """One look at each connection."""
    poll.poll_now()
    while poll.poll_next():
        pass


def followed(job: Job) -> Job:
    """One call for the job, and for no other one."""
    Training.objects.exclude(job=job).update(due_at=now() + timedelta(hours=1))
    Training.objects.filter(job=job).update(due_at=now())
    assert follow.follow_next()
    return fresh(job)


@pytest.fixture
def sent(alice: User, connection: Connection) -> Job:
    job = start(signed_in(alice), connection, alice)
    transferred(job)
    return send_now(job)


def followed_until(job: Job, *states: str) -> Job:
    return until(lambda: current if (current := followed(job)).state in states else None)


def lost(job: Job, fal: FakeFal, **switches: Any) -> Job:
    """The job after a submit whose answer never came."""
    for name, value in switches.items():
        setattr(fal, name, value)
    job = send_now(job)
    assert job.state == State.UNCONFIRMED
    return job


@pytest.fixture
def ready_to_send(alice: User, connection: Connection) -> Job:
    job = start(signed_in(alice), connection, alice)
    transferred(job)
    return job


def test_a_job_goes_from_the_form_to_the_weights(sent: Job, fal: FakeFal) -> None:
    assert sent.state == State.REQUESTED
    (paid,) = fal.jobs
    assert paid.endpoint == KLEIN
    assert paid.input["steps"] == 500
    job = followed_until(sent, State.READY)
    assert job.cloud_storage_url == paid.result["diffusers_lora_file"]["url"]
    assert job.training.is_over
    assert job.training.log == list(fal.log_lines)
    assert len(fal.sent("submit")) == 1


def test_a_dataset_of_another_layout_goes_there_in_the_plain_one(
    connection: Connection, alice: User, fal: FakeFal
) -> None:
    """The vendor's own samples have byte order marks, which fal's trainer may read as text."""
    names = {f"set/{number}_{half}.png": PICTURE for number in "12" for half in ("start", "end")}
    names |= {f"set/{number}.txt": b"\xef\xbb\xbfmake it night" for number in "12"}
    dataset = make_dataset(alice, stored=False, data=packed(names))
    assert dataset.repairs
    job = start(signed_in(alice), connection, alice, dataset=dataset.pk)
    transferred(job)
    job = followed_until(send_now(job), State.READY)
    dataset.refresh_from_db()
    assert dataset.path.read_bytes() == packed(names), "the original stays"


def test_a_dataset_at_a_public_address_goes_there_as_the_portal_fetched_it(
    connection: Connection, alice: User, fal: FakeFal
) -> None:
    address = {"source_url": "https://files.example/night.zip", "is_fetched": True}
    dataset = make_dataset(alice, stored=False, **address)
    job = start(signed_in(alice), connection, alice, dataset=dataset.pk)
    assert job.state == State.WAITING
    transferred(job)
    job = followed_until(send_now(job), State.READY)
    assert fal.jobs[0].dataset.startswith(fal.cdn_url)


def test_each_attempt_has_an_address_of_the_dataset_of_its_own(ready_to_send: Job, fal: FakeFal) -> None:
    fal.loses_request = True
    job = lost(ready_to_send, fal)
    fal.loses_request = False
    Job.objects.filter(pk=job.pk).update(state=State.QUEUED)
    send_now(job)
    first, second = job.submit_attempts.order_by("pk")
    assert first.dataset_address != second.dataset_address
    assert fal.jobs[0].dataset == second.dataset_address


def test_a_lost_answer_is_found_in_the_history(ready_to_send: Job, fal: FakeFal) -> None:
    """Fal shows a job there when it has ended (docs/provider-fal.md, 7)."""
    job = lost(ready_to_send, fal, loses_answer=True)
    follow_connection()
    assert fresh(job).state == State.UNCONFIRMED
    fal.finish(fal.jobs[0])
    follow_connection()
    job = fresh(job)
    assert (job.state, job.request_id) == (State.REQUESTED, fal.jobs[0].id)
    assert followed_until(job, State.READY).submit_attempts.get().outcome == "accepted"
    assert len(fal.sent("submit")) == 1


def test_what_the_history_does_not_show_is_a_persons_decision(ready_to_send: Job, fal: FakeFal) -> None:
    job = lost(ready_to_send, fal, loses_answer=True, history_hole=True)
    follow_connection()
    assert fresh(job).state == State.UNCONFIRMED
    job.submit_attempts.update(started_at=now() - timedelta(minutes=20))
    Job.objects.update(due_at=now())
    follow_connection()
    assert fresh(job).state == State.NEEDS_DECISION
    assert "may still run there" in text_of(signed_in(ready_to_send.owner), f"/jobs/{job.pk}/")
    assert len(fal.sent("submit")) == 1
    fal.jobs[0].hidden = 0
    fal.finish(fal.jobs[0])
    follow_connection()
    assert fresh(job).state == State.REQUESTED, "shown late, and no decision is needed any more"


def test_a_locked_account_ends_no_job(sent: Job, fal: FakeFal, connection: Connection) -> None:
    fal.locked_on = ("status", "result")
    before = sent.state
    assert followed(sent).state == before
    follow_connection()
    connection.refresh_from_db()
    assert "locked" in connection.failure
    fal.locked_on = ()
    assert followed_until(sent, State.READY)


def test_a_job_that_steps_back_is_followed_to_its_end(ready_to_send: Job, fal: FakeFal) -> None:
    fal.steps = ("IN_QUEUE", "IN_PROGRESS", "IN_PROGRESS", "IN_QUEUE", "IN_QUEUE", "IN_PROGRESS", "COMPLETED")
    job = send_now(ready_to_send)
    states = [followed(job).state for _ in range(3)]
    assert states == [State.TRAINING, State.REQUESTED, State.TRAINING]
    assert followed_until(job, State.READY).submit_attempts.count() == 1


def test_without_an_admin_key_the_estimate_is_all_that_is_said(sent: Job, fal: FakeFal) -> None:
    job = followed_until(sent, State.READY)
    assert (job.cost, job.training.is_over) == (None, True)
    page = " ".join(text_of(signed_in(sent.owner), f"/jobs/{job.pk}/").split())
    assert 'about <span class="number">4.85</span> USD' in page
    assert "As billed" not in page
    assert not fal.sent("billing_events")


def test_a_job_that_fails_says_why(sent: Job, fal: FakeFal) -> None:
    fal.fail(fal.jobs[0])
    job = followed_until(sent, State.FAILED)
    assert "fal lost the machine that ran it. It says: The runner disconnected." in job.error


def test_a_person_cancels_a_job(sent: Job, fal: FakeFal, alice: User) -> None:
    response = signed_in(alice).post(f"/jobs/{sent.pk}/cancel/")
    assert response.status_code == 302
    job = followed_until(sent, State.FAILED)
    assert job.is_cancelled
    assert fal.charged == 0


def test_a_cancel_whose_worker_died_is_no_late_one(sent: Job, fal: FakeFal, alice: User) -> None:
    signed_in(alice).post(f"/jobs/{sent.pk}/cancel/")
    fal.cancel(fal.jobs[0])  # by a worker that died before it stored the answer
    job = followed_until(sent, State.FAILED)
    assert job.is_cancelled
    assert "Too late to cancel" not in text_of(signed_in(alice), f"/jobs/{job.pk}/")


def test_a_job_that_is_over_cannot_be_cancelled_any_more(sent: Job, fal: FakeFal, alice: User) -> None:
    fal.finish(fal.jobs[0])
    signed_in(alice).post(f"/jobs/{sent.pk}/cancel/")
    job = followed_until(sent, State.READY)
    assert job.cancel_requested_at is None
    assert "Too late to cancel" in text_of(signed_in(alice), f"/jobs/{job.pk}/")


def test_a_job_that_the_provider_forgot_says_so_and_comes_back(sent: Job, fal: FakeFal) -> None:
    Job.objects.update(sent_at=now() - timedelta(hours=1))
    (paid,) = fal.jobs
    fal.jobs.clear()
    job = followed(sent)
    assert (job.state, job.error) == (State.REQUESTED, follow.NOT_KNOWN)
    fal.jobs.append(paid)
    assert followed(sent).error == ""


def test_a_trainer_that_closed_refuses_the_job_and_is_shown_closed(
    ready_to_send: Job, fal: FakeFal, connection: Connection, alice: User
) -> None:
    fal.script("submit", says(410, {"detail": "This endpoint is deprecated and takes no new jobs."}))
    job = send_now(ready_to_send)
    assert job.state == State.REFUSED
    assert "Nothing was charged" in job.error
    response = signed_in(alice).post("/jobs/new/", sent_form(connection, alice))
    assert "takes no new jobs for this" in response.content.decode()
    other = start(signed_in(alice), connection, alice, trainer="fal-ai/flux-kontext-trainer")
    assert other.state == State.WAITING, "the others go on"


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("steps", "550", "Steps must be a multiple of 100."),
        ("steps", "20000", "Steps must be a number from 100 to 10,000."),
        ("trainer", "fal-ai/no-such-trainer", "This is not offered any more."),
    ],
)
def test_the_form_knows_the_bounds_of_the_trainer(
    connection: Connection, alice: User, field: str, value: str, sentence: str
) -> None:
    response = signed_in(alice).post("/jobs/new/", sent_form(connection, alice, **{field: value}))
    assert sentence in response.content.decode()
    assert not Job.objects.exists()


def test_the_parameters_are_those_of_the_trainer(connection: Connection, alice: User) -> None:
    client = signed_in(alice)
    page = client.get(
        "/jobs/new/parameters/", {"connection": connection.pk, "trainer": KLEIN}
    ).content.decode()
    assert 'name="parameter-output_lora_format"' in page
    assert "License: Apache 2.0" in page
    qwen = {"connection": connection.pk, "trainer": "fal-ai/qwen-image-edit-2511-trainer"}
    assert "parameter-output_lora_format" not in client.get("/jobs/new/parameters/", qwen).content.decode()
    local = client.get("/jobs/new/parameters/", {"connection": connections.default().pk, "trainer": KLEIN})
    assert 'id="id_trainer"' not in local.content.decode()


def test_the_weights_are_downloaded_from_where_they_lie(sent: Job, fal: FakeFal, alice: User) -> None:
    job = followed_until(sent, State.READY)
    response = signed_in(alice).get(f"/jobs/{job.pk}/download/")
    assert response["Location"] == job.cloud_storage_url
    assert copying.copy_next()
    assert fresh(job).file_sha256 == sha256(WEIGHTS).hexdigest()


def test_a_result_that_expired_is_said_to_be_gone(sent: Job, fal: FakeFal, alice: User) -> None:
    job = followed_until(sent, State.READY)
    fal.files.stored.clear()
    signed_in(alice).get(f"/jobs/{job.pk}/download/")
    assert "no longer has the file of this model" in text_of(signed_in(alice), f"/jobs/{job.pk}/")


def test_a_model_cannot_be_public_and_nothing_is_asked(sent: Job, fal: FakeFal, alice: User) -> None:
    job = followed_until(sent, State.READY)
    asked = len(fal.requests)
    page = signed_in(alice).post(f"/jobs/{job.pk}/public/", {"public": "on"}, follow=True)
    assert "“fal” has no public models." in page.content.decode()
    assert len(fal.requests) == asked


def test_the_price_is_shown_and_kept_beside_the_bill(
    connection: Connection, alice: User, fal: FakeFal, settings: Any
) -> None:
    settings.PROVIDER_ADMIN_KEYS = {"fal": fal.admin_key}
    client = signed_in(alice)
    query = {"connection": connection.pk, "trainer": KLEIN, "steps": "500; 1000"}
    price = " ".join(client.get("/jobs/new/price/", query).content.decode().split())
    assert "About 4.85 to 9.71 USD</strong> a job" in price
    job = start(client, connection, alice)
    transferred(job)
    job = send_now(job)
    fal.prices = {KLEIN: fal.price(KLEIN) * 2}
    fal.finish(fal.jobs[0])
    job = followed_until(job, State.READY)
    assert (job.estimated_cost, job.cost, job.currency) == (4.85, float(fal.charged), "USD")
    page = " ".join(text_of(client, f"/jobs/{job.pk}/").split())
    assert "As billed; the estimate was 4.85." in page


def test_a_bill_that_comes_late_is_asked_for_again(sent: Job, fal: FakeFal, settings: Any) -> None:
    settings.PROVIDER_ADMIN_KEYS = {"fal": fal.admin_key}
    fal.script("billing_events", says(200, {"billing_events": [], "has_more": False}))
    job = followed_until(sent, State.READY)
    assert (job.cost, job.training.is_over) == (None, False)
    assert until(lambda: followed(job).cost) == float(fal.charged)


def test_an_admin_key_that_fal_refuses_keeps_nothing_but_the_bill(
    sent: Job, fal: FakeFal, settings: Any
) -> None:
    settings.PROVIDER_ADMIN_KEYS = {"fal": "a-wrong:admin-key"}
    job = followed_until(sent, State.READY)
    assert (job.cost, job.training.is_over, job.training.attempts) == (None, False, 0)
    assert job.training.log == list(fal.log_lines)
    Job.objects.filter(pk=job.pk).update(ended_at=now() - timedelta(days=2))
    assert followed(job).training.is_over, "it is not asked for ever"


def test_the_key_is_nowhere_but_in_memory(sent: Job, fal: FakeFal, dana: User) -> None:
    followed_until(sent, State.READY)
    for url in ("/settings/", f"/jobs/{sent.pk}/", "/audit/"):
        assert fal.key not in text_of(signed_in(dana), url)
    assert fal.key not in databases.every_value()


@pytest.mark.parametrize(("left", "is_asked"), [(3, False), (4, True)])
def test_a_price_leaves_the_submit_its_call(
    connection: Connection, fal: FakeFal, alice: User, left: int, is_asked: bool
) -> None:
    """What a page asks by itself takes none of the calls by which a paid act goes."""
    job = start(signed_in(alice), connection, alice)
    transferred(job)
    cache.clear()
    asked_before = len(fal.sent("pricing"))
    Connection.objects.filter(pk=connection.pk).update(
        calls_left=left, calls_reset_at=now() + timedelta(minutes=5), due_at=now() + timedelta(minutes=5)
    )
    query = f"/jobs/new/price/?connection={connection.pk}&trainer={KLEIN}&steps=500"
    price = signed_in(alice).get(query).content.decode()
    is_shown = "by the price that fal publishes" in price
    assert (len(fal.sent("pricing")) > asked_before, is_shown) == (is_asked, is_asked)
    assert tasks.submit_jobs()
    assert fresh(job).state == State.REQUESTED


def test_a_price_leaves_it_by_an_own_count_too(connection: Connection) -> None:
    assert rate_limit.take_call_for_question(connection), "no limit is known"
    learned = {"calls_learned": connection.calls.count() + 3, "calls_learned_at": now()}
    Connection.objects.filter(pk=connection.pk).update(**learned)
    assert not rate_limit.take_call_for_question(connection)
    assert rate_limit.take_call(connection, reserve=rate_limit.SUBMIT)
    assert not rate_limit.take_call(connection, reserve=rate_limit.SUBMIT), "two are left for list and people"
