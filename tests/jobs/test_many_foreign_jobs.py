"""An account with thousands of jobs from elsewhere: adopted in slices, while the team's own jobs go on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.signals import post_save
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Attempt, Job
from finetune_portal.jobs.sync import apply_list, details, poll
from finetune_portal.worker import tasks
from tests.people import make_job, signed_in
from tests.provider import Answer, ScriptedProvider, says
from tests.worker.driving import follow_now, fresh, point_at, send_now, text_of

MANY = 400


@pytest.fixture(autouse=True)
def fake(settings: Any, db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedProvider]:
    monkeypatch.setattr(details, "DETAILS_SECONDS", 0.2)
    monkeypatch.setattr(apply_list, "ADOPT_SECONDS", 0.3)
    settings.POLL_SECONDS, settings.POLL_IDLE_SECONDS = 20.0, 600.0
    with ScriptedProvider() as running:
        running.states = ("AVAILABLE",)
        point_at(settings, running)
        yield running


@pytest.mark.long
def test_they_are_adopted_in_slices_and_own_jobs_are_seen_each_time(
    alice: User, fake: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A15"""
    for number in range(MANY):
        fake.adds(f"elsewhere {number}")
    own = fake.adds("hats")  # the last of the list
    own.status, own.ahead = "REQUESTED", ["TRAINING_INITIATED", "DEPLOYING", "AVAILABLE"]
    job = make_job(alice, "training", request_id=own.id, provider_status="REQUESTED", sent_at=now())
    adopted, seen = [], []
    for _ in range(3):
        follow_now()
        adopted.append(Job.objects.filter(owner=None).count())
        seen.append(fresh(job).last_listed_as.split()[0])
    assert 0 < adopted[0] < MANY, "not all at once"
    assert adopted == sorted(adopted)
    assert seen == ["REQUESTED", "TRAINING_INITIATED", "DEPLOYING"]
    connection = Connection.objects.get()
    assert connection.due_at <= now() + timedelta(seconds=25), "the rest does not wait for the idle pause"
    monkeypatch.setattr(apply_list, "ADOPT_SECONDS", 60.0)
    for _ in range(MANY):  # each poll has a quarter of the pause, in which a busy machine adopts few
        if adopted[-1] < MANY:
            follow_now()
            adopted.append(Job.objects.filter(owner=None).count())
    assert adopted[-1] == MANY
    assert Job.objects.values("request_id").distinct().count() == MANY + 1


def test_the_lease_is_renewed_meanwhile(fake: ScriptedProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no second worker begins with the same list."""
    for number in range(MANY):
        fake.adds(f"elsewhere {number}")
    monkeypatch.setattr(details, "LEASE", 3600.0)
    monkeypatch.setattr(poll, "LEASE", 30.0)
    expiries: list[float] = []

    def look(created: bool, **_: Any) -> None:
        expires_at = Connection.objects.get().lease_expires_at
        if created and expires_at:
            expiries.append((expires_at - now()).total_seconds())

    post_save.connect(look, sender=Job)
    try:
        follow_now()
    finally:
        post_save.disconnect(look, sender=Job)
    assert min(expiries) > 1800


def test_the_next_list_does_not_wait_for_slow_details(
    alice: User, fake: ScriptedProvider, settings: Any
) -> None:
    settings.POLL_SECONDS = 0.5
    own = fake.adds("hats")
    own.status = "TRAINING_INITIATED"
    make_job(alice, "requested", request_id=own.id, sent_at=now())
    fake.script("details", Answer(delay=0.7))
    follow_now()
    assert Connection.objects.get().due_at <= now()


def test_two_submits_answered_with_one_id_are_said_and_settled_at_once(
    dataset: Dataset, fake: ScriptedProvider, alice: User
) -> None:
    """S22"""
    fake.states = ("TRAINING_INITIATED",)
    first = send_now(make_job(alice, name="hats", dataset=dataset))
    fake.script("submit", says(200, {"finetune_id": first.request_id, "status": "REQUESTED"}))
    second = send_now(make_job(alice, name="scarves", dataset=dataset))
    assert (second.state, second.request_id) == ("needs_decision", None)
    assert f"with the id of job {first.pk}, “hats”" in second.error
    assert second.submit_attempts.get().outcome == Attempt.Outcome.UNKNOWN
    assert fresh(first).state == "requested"
    assert "gave the same id to job" in text_of(signed_in(alice), f"/jobs/{first.pk}/")
    assert not tasks.submit_jobs(), "it is not sent again"
    follow_now()
    assert (fresh(second).state, fresh(second).error) == ("training", ""), (
        "the list has it by its own name after all"
    )


def test_an_old_job_of_another_with_the_id_of_the_answer_is_kept(
    dataset: Dataset, fake: ScriptedProvider, alice: User
) -> None:
    old = fake.adds("elsewhere")
    follow_now()
    fake.script("submit", says(200, {"finetune_id": old.id, "status": "REQUESTED"}, taken=False))
    job = send_now(make_job(alice, dataset=dataset))
    assert job.state == "needs_decision"
    assert Job.objects.get(request_id=old.id).name == "elsewhere"


def test_what_is_kept_of_the_providers_json_is_capped(fake: ScriptedProvider) -> None:
    job = fake.adds("hats")
    large = {"model_information": {"log": "x" * 500_000}, "notes": "é" * 20_000, "theme": "KONTEXT"}
    fake.script("details", says(200, {"finetune": {"id": job.id, "status": "AVAILABLE", **large}}))
    follow_now()
    kept = Job.objects.get().provider_data
    assert len(json.dumps(kept)) <= 64 * 1024
    assert kept["theme"] == "KONTEXT"
    assert kept["left_out"] == ["model_information", "notes"]
    assert Job.objects.get().state == "ready"


def test_a_model_that_the_list_has_no_more_is_marked_until_it_is_back(
    alice: User, fake: ScriptedProvider
) -> None:
    paid, other = fake.adds("hats"), fake.adds("scarves")
    job = make_job(
        alice, "ready", request_id=paid.id, provider_status="AVAILABLE", sent_at=now() - timedelta(hours=1)
    )
    follow_now()
    fake.jobs.remove(paid)
    follow_now()
    assert (fresh(job).state, fresh(job).can_download) == ("ready", True)
    sentence = "list no longer has this model. It may have been deleted there."
    assert sentence in text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert "No longer in the provider’s list" in text_of(signed_in(alice))
    assert Job.objects.get(request_id=other.id).error == ""
    fake.jobs.append(paid)
    follow_now()
    assert fresh(job).error == ""
