"""The job page's estimate of when a job will be ready."""

from __future__ import annotations

from datetime import timedelta

from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.page.estimate import estimate
from tests.people import make_job, signed_in
from tests.worker.driving import text_of


def test_the_estimate_comes_from_jobs_with_similar_steps(alice: User) -> None:
    started = now()
    running = make_job(alice, State.TRAINING, steps=1000, sent_at=started)
    for minutes in (10, 20):
        ended = started - timedelta(hours=1)
        make_job(alice, State.READY, steps=800, sent_at=ended - timedelta(minutes=minutes), ended_at=ended)
    make_job(alice, State.READY, steps=100, sent_at=started - timedelta(minutes=1), ended_at=started)
    assert estimate(running) is None, "two jobs are too few"
    make_job(alice, State.READY, steps=1500, sent_at=started - timedelta(minutes=30), ended_at=started)
    result = estimate(running)
    assert result
    assert (result.ready_at, result.job_count) == (started + timedelta(minutes=20), 3)
    assert "based on 3 jobs" in text_of(signed_in(alice), f"/jobs/{running.pk}/")
