"""The job page's estimate of when a job will be ready."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import F
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job, JobEvent, Training
from finetune_portal.jobs.page.estimate import estimate
from tests.jobs.test_expected_time import trained
from tests.people import make_job, signed_in
from tests.worker.driving import text_of


def test_the_estimate_comes_from_jobs_with_similar_steps(alice: User) -> None:
    started = now()
    running = make_job(alice, State.TRAINING, steps=1000, sent_at=started)
    for minutes in (10, 20):
        ended = started - timedelta(hours=1)
        make_job(alice, State.READY, steps=800, sent_at=ended - timedelta(minutes=minutes), ended_at=ended)
    make_job(alice, State.READY, steps=100, sent_at=started - timedelta(minutes=1), ended_at=started)
    assert estimate(running, Job.objects.all()) is None, "two jobs are too few"
    make_job(alice, State.READY, steps=1500, sent_at=started - timedelta(minutes=30), ended_at=started)
    result = estimate(running, Job.objects.all())
    assert result
    assert (result.ready_at, result.job_count) == (started + timedelta(minutes=20), 3)
    assert "based on 3 jobs" in text_of(signed_in(alice), f"/jobs/{running.pk}/")
    rank = make_job(alice, State.TRAINING, steps=1000, sent_at=started, parameters={"rank": 64})
    assert estimate(rank, Job.objects.all()), "a step takes about as long at any rank"
    other = make_job(alice, State.TRAINING, steps=1000, sent_at=started, trainer="fal-ai/flux-2-trainer/edit")
    assert estimate(other, Job.objects.all()) is None, "another model takes another time"
    batches = make_job(alice, State.TRAINING, steps=1000, sent_at=started, parameters={"batch_size": 8})
    assert estimate(batches, Job.objects.all()) is None, "no job had as many pairs in a step"


def test_once_it_trains_the_queues_of_other_jobs_do_not_count(alice: User) -> None:
    """Each of them waited an hour."""
    for seconds in (230, 240, 250):
        trained(alice, seconds)
    sent = now() - timedelta(minutes=11)
    running = make_job(alice, State.REQUESTED, sent_at=sent)
    result = estimate(running, Job.objects.all())
    assert result
    assert result.ready_at == sent + timedelta(minutes=64)
    began = sent + timedelta(minutes=10)
    JobEvent.objects.create(job=running, state=State.TRAINING, created_at=began, source="poll", text="")
    running.state = State.TRAINING
    running.save()
    result = estimate(running, Job.objects.all(), running.events.all())
    assert result
    assert result.ready_at == began + timedelta(minutes=4)
    assert "based on 3 jobs with similar steps" in text_of(signed_in(alice), f"/jobs/{running.pk}/")
    running.events.update(created_at=F("created_at") - timedelta(minutes=9))
    page = text_of(signed_in(alice), f"/jobs/{running.pk}/")
    assert "longer than expected: 3 jobs with similar steps trained for about 4 min" in page


def test_a_job_that_waits_in_an_engine_has_not_begun(alice: User) -> None:
    for seconds in (230, 240, 250):
        trained(alice, seconds)
    waiting = make_job(alice, State.TRAINING, sent_at=now())
    JobEvent.objects.create(job=waiting, state=State.TRAINING, source="poll", text="")
    training = Training.objects.create(job=waiting, percent=0, jobs_ahead=1)
    events = waiting.events.all()
    result = estimate(waiting, Job.objects.all(), events)
    assert result
    assert not result.is_of_training
    training.began_at = now()
    training.save()
    waiting.refresh_from_db()
    result = estimate(waiting, Job.objects.all(), events)
    assert result
    assert result.ready_at == training.began_at + timedelta(minutes=4)
