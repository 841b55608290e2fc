"""Sending a paid job once: what each kind of answer, and none, means for it (docs/reliability.md, 1)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.transfer import schedule_transfer, transfer_next
from finetune_portal.jobs.models import Attempt, Job
from finetune_portal.worker import tasks
from tests.engine.calling import details
from tests.people import make_dataset, make_job, signed_in
from tests.provider import ScriptedProvider, says
from tests.running import RunningEngine, start_engine
from tests.worker.driving import (
    follow_now,
    fresh,
    jobs_at_provider,
    point_at,
    point_nowhere,
    send_now,
    text_of,
)

WRONG_KEY = "not-the-key"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """Of this module alone: its list is looked through again and again."""
    with start_engine(tmp_path_factory.mktemp("engine")) as running:
        yield running


@pytest.fixture(autouse=True)
def provider(engine: RunningEngine, settings: Any, db: None) -> None:
    point_at(settings, engine)


def queued(dataset: Dataset, name: str = "Day to night", **fields: Any) -> Job:
    return make_job(dataset.owner, name=name, dataset=dataset, **fields)


def outcomes(job: Job) -> list[str]:
    return [attempt.outcome for attempt in job.submit_attempts.order_by("pk")]


def is_sent_again(job: Job) -> bool:
    """Whether the worker, given every chance, tries once more."""
    tries = job.submit_attempts.count()
    send_now(job)
    return job.submit_attempts.count() > tries


def test_an_accepted_job_arrives_as_it_was_asked_for(dataset: Dataset, engine: RunningEngine) -> None:
    job = send_now(queued(dataset, wants_public=True))
    assert (job.state, job.provider_status, job.error) == ("requested", "REQUESTED", "")
    assert job.sent_at
    [listed] = jobs_at_provider(engine, job)
    sent = details(engine, str(job.request_id))
    assert listed["finetune_id"] == job.request_id
    assert sent["name"] == f"Day to night-{job.nonce}"
    assert sent["data_source_path"] == dataset.s3_url_for(job.connection)
    assert sent["instance_prompt"] == "turn day into night"
    assert sent["public_model"] is True
    assert (listed["advance_parameters"]["steps"], listed["advance_parameters"]["learning_rate"]) == (
        300,
        0.0004,
    )
    assert outcomes(job) == ["accepted"]
    assert [event.text for event in job.events.all()] == ["Accepted by the provider"]


def test_once_sent_it_is_never_sent_again(dataset: Dataset, engine: RunningEngine) -> None:
    job = send_now(queued(dataset))
    assert not is_sent_again(job)
    assert len(jobs_at_provider(engine, job)) == 1


def test_jobs_go_out_in_the_order_they_were_started(dataset: Dataset) -> None:
    first, second = queued(dataset), queued(dataset)
    tasks.submit_jobs()
    assert (fresh(first).state, fresh(second).state) == ("requested", "queued")


def test_a_refused_connection_puts_it_back_into_the_queue(
    dataset: Dataset, engine: RunningEngine, settings: Any
) -> None:
    """Proven not sent, so it goes out by itself, once, when the provider is back.

    docs/reliability.md, S3.
    """
    point_nowhere(settings)
    job = send_now(queued(dataset))
    assert job.state == "queued"
    assert job.due_at > now()
    assert job.error == "Not sent yet, the portal will try again. The provider cannot be reached."
    assert job.can_withdraw
    assert not tasks.submit_jobs(), "it keeps the pause"

    point_at(settings, engine)
    assert send_now(job).state == "requested"
    assert fresh(job).error == ""
    assert outcomes(job) == ["not_sent", "accepted"]
    assert len(jobs_at_provider(engine, job)) == 1


def test_a_refused_key_stops_all_sending_and_keeps_the_jobs(
    dataset: Dataset, engine: RunningEngine, settings: Any, charlie: User
) -> None:
    """S11, also as the very first thing that the portal ever hears of the provider."""
    settings.SEGMIND_API_KEY = WRONG_KEY
    job, other = send_now(queued(dataset)), queued(dataset)
    sentence = "The provider does not accept the API key."
    assert job.state == "queued"
    assert sentence in job.error
    assert sentence in text_of(signed_in(charlie))
    assert WRONG_KEY not in str(list(Job.objects.values()) + list(Connection.objects.values()))
    assert not is_sent_again(job)
    assert not is_sent_again(other)

    settings.SEGMIND_API_KEY = engine.key
    follow_now()
    assert sentence not in text_of(signed_in(charlie))
    assert send_now(job).state == send_now(other).state == "requested"


def test_no_credits_is_refused_in_words(dataset: Dataset, engine: RunningEngine, alice: User) -> None:
    """docs/reliability.md, S12."""
    job = send_now(queued(dataset, "refuse-credits"))
    sentence = (
        "The account does not have enough credits. Top it up and start again. It says: Insufficient credits."
    )
    assert (job.state, job.error) == ("refused", sentence), (
        "nothing is charged at a local engine, and not said"
    )
    assert sentence in text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert outcomes(job) == ["refused"]
    assert not is_sent_again(job)
    assert send_now(queued(dataset)).state == "requested", "one refusal holds nobody else up"


def test_when_told_to_wait_it_waits_as_long_as_told(dataset: Dataset, engine: RunningEngine) -> None:
    """The pause holds for every call of the account (docs/reliability.md, S10)."""
    job, other = queued(dataset, "busy"), queued(dataset)
    for _ in range(2):
        before = now()
        job = send_now(job)
        assert job.state == "queued"
        sent = timedelta(seconds=1)
        assert before + sent <= job.due_at < now() + timedelta(seconds=5)
        assert before + sent <= Connection.objects.get().calls_reset_at < now() + timedelta(seconds=5)
        Connection.objects.update(
            calls_reset_at=now() + timedelta(hours=1)
        )  # however long the next lines take
        assert not tasks.submit_jobs()
        assert send_now(other).state == "queued"
        Connection.objects.update(calls_reset_at=now())
        follow_now()
    assert send_now(job).state == "requested"
    assert outcomes(job) == ["busy", "busy", "accepted"]
    assert len(jobs_at_provider(engine, job)) == 1


def test_a_lost_answer_is_looked_for_and_never_sent_twice(
    dataset: Dataset, engine: RunningEngine, alice: User
) -> None:
    """The provider took the job and answered 500 (docs/reliability.md, S4, S5)."""
    job = send_now(queued(dataset, "lost-answer"))
    assert job.state == "unconfirmed"
    assert outcomes(job) == ["unknown"]
    assert "will not send the job again by itself" in text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert not is_sent_again(job)

    follow_now()
    job = fresh(job)
    [listed] = jobs_at_provider(engine, job)
    assert job.request_id == listed["finetune_id"]
    assert "answer was lost" not in job.error
    assert outcomes(job) == ["accepted"]
    assert "Found in the provider's list: it was accepted" in [event.text for event in job.events.all()]
    assert Job.objects.filter(name__startswith="lost-answer").count() == 1, "it is not adopted besides"


def test_a_lost_answer_that_is_not_in_the_list_becomes_a_persons_decision(dataset: Dataset) -> None:
    """docs/reliability.md, S8."""
    follow_now()
    job = queued(dataset, state="unconfirmed")
    attempt = Attempt.objects.create(job=job, outcome=Attempt.Outcome.UNKNOWN)
    follow_now()
    assert fresh(job).state == "unconfirmed"
    Attempt.objects.filter(pk=attempt.pk).update(started_at=now() - timedelta(minutes=16))
    follow_now()
    assert fresh(job).state == "needs_decision"
    assert not is_sent_again(job)


def test_a_worker_that_died_while_sending_leaves_it_unconfirmed(dataset: Dataset) -> None:
    """Only once its lease has run out, for until then it may be alive (docs/reliability.md, S7, D8)."""
    job = queued(dataset, state="sending", lease=uuid.uuid4(), lease_expires_at=now() + timedelta(minutes=1))
    Attempt.objects.create(job=job)
    assert send_now(job).state == "sending"
    Job.objects.update(lease_expires_at=now() - timedelta(seconds=1))
    assert send_now(job).state == "unconfirmed"
    page = signed_in(dataset.owner).get(f"/jobs/{job.pk}/").content.decode()
    assert '<div class="diagnosis">\n      <p>The portal stopped while it sent this job' in page
    assert outcomes(job) == ["unknown"]
    assert not is_sent_again(job)


@pytest.mark.parametrize("error", ["", "The answer was lost."], ids=["before the upgrade", "now"])
def test_who_decides_is_told_why(error: str, dataset: Dataset, dana: User) -> None:
    long_ago = now() - timedelta(minutes=20)
    job = queued(dataset, state="unconfirmed", error=error)
    Attempt.objects.create(job=job, started_at=long_ago, outcome="unknown")
    follow_now()
    Job.objects.update(due_at=now())
    follow_now()
    assert fresh(job).state == "needs_decision"
    page = signed_in(dana).get(f"/jobs/{job.pk}/").content.decode()
    assert "Send again" in page
    assert f'<div class="diagnosis">\n      <p>{error or "Not in the provider"}' in page


def test_who_was_away_looks_a_while_before_anyone_is_asked(dataset: Dataset) -> None:
    """The worker itself was dead for these minutes, so one list proves little (docs/reliability.md, S8)."""
    long_ago = now() - timedelta(minutes=20)
    job = queued(dataset, state="sending", lease=uuid.uuid4(), lease_expires_at=long_ago)
    Attempt.objects.create(job=job, started_at=long_ago)
    Connection.objects.update(last_answer_at=long_ago)
    send_now(job)
    follow_now()
    follow_now()
    assert fresh(job).state == "unconfirmed"
    Job.objects.update(due_at=now())
    follow_now()
    assert fresh(job).state == "needs_decision"


def test_what_is_found_in_the_list_needs_no_answer_any_more(dataset: Dataset, engine: RunningEngine) -> None:
    """Its worker died while sending. Nobody waits until the lease has run out (docs/reliability.md, S7)."""
    job = send_now(queued(dataset))
    request_id = job.request_id
    soon = now() + timedelta(minutes=3)
    Job.objects.update(state="sending", request_id=None, lease=uuid.uuid4(), lease_expires_at=soon)
    Attempt.objects.update(outcome=Attempt.Outcome.OPEN, ended_at=None)
    follow_now()
    assert (fresh(job).state, fresh(job).request_id) != ("sending", None)
    assert fresh(job).request_id == request_id
    assert outcomes(job) == ["accepted"]
    assert Attempt.objects.get().ended_at


def test_lost_answers_hold_the_others_back_until_the_list_was_read(
    dataset: Dataset, engine: RunningEngine, settings: Any
) -> None:
    """A provider that breaks at each submit makes a decision of few jobs, not of all that wait.

    docs/reliability.md, S5.
    """
    settings.POLL_SECONDS = 20.0
    with ScriptedProvider() as fake:
        point_at(settings, fake)
        fake.script("submit", *[says(500, b"", taken=False)] * 20)
        jobs = [queued(dataset) for _ in range(5)]
        assert tasks.submit_jobs()
        assert not tasks.submit_jobs()
        assert Connection.objects.get().due_at <= now(), "it is looked for at once"
        follow_now()
        assert tasks.submit_jobs()
        follow_now()
        assert not tasks.submit_jobs(), "a second one makes a pause as well"
        assert len(fake.sent("submit")) == 2
        Job.objects.filter(state="unconfirmed").update(updated_at=now() - timedelta(seconds=41))
        assert tasks.submit_jobs()
        follow_now()
        fake.unscript()
        Job.objects.filter(state="unconfirmed").update(state="closed")
        while tasks.submit_jobs():
            pass
    assert sorted(fresh(job).state for job in jobs) == ["closed"] * 3 + ["requested"] * 2


def test_a_key_that_may_only_look_is_not_tried_again_and_again(dataset: Dataset, settings: Any) -> None:
    """The list works, so the key seems to be good; the submit says 401 each time."""
    with ScriptedProvider() as fake:
        point_at(settings, fake)
        fake.script("submit", *[says(401, {"error": "no"})] * 50)
        job = queued(dataset)
        for _ in range(30):
            tasks.submit_jobs()
            follow_now()
        assert job.submit_attempts.count() < 6
        assert fresh(job).due_at > now()


def test_a_waiting_job_goes_out_when_its_dataset_is_in_place(alice: User, engine: RunningEngine) -> None:
    dataset = make_dataset(alice, stored=False)
    job = queued(dataset, state="waiting")
    assert send_now(job).state == "waiting"
    schedule_transfer(dataset, connections.default())
    assert transfer_next()
    assert send_now(job).state == "requested"
    assert details(engine, str(fresh(job).request_id))["data_source_path"].startswith(engine.url)


def test_a_waiting_job_is_refused_with_its_dataset(alice: User) -> None:
    verdict = {"problems": ["07_start.png has no partner."]}
    dataset = make_dataset(alice, stored=False, state=Dataset.State.REJECTED, verdict=verdict)
    job = send_now(queued(dataset, state="waiting"))
    assert job.state == "refused"
    assert job.error == "Not sent: the dataset was refused. 07_start.png has no partner."
    assert outcomes(job) == []
