"""Following all jobs by the provider's list: states, jobs from elsewhere, and a provider that goes away."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs import choices
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.sync import details, poll
from finetune_portal.queue.leases import claim
from tests.engine.calling import call, reached, started
from tests.people import make_dataset, make_job, signed_in
from tests.provider import Answer, Request, ScriptedProvider, says
from tests.running import RunningEngine, start_engine
from tests.waiting import until
from tests.worker.driving import (
    follow_now,
    followed_until,
    fresh,
    point_at,
    point_nowhere,
    send_now,
    text_of,
    transfer_now,
)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """Of this module alone: its list is looked through again and again."""
    with start_engine(tmp_path_factory.mktemp("engine")) as running:
        yield running


@pytest.fixture(autouse=True)
def provider(engine: RunningEngine, settings: Any, db: None) -> None:
    point_at(settings, engine)


@pytest.fixture
def fake(settings: Any) -> Iterator[ScriptedProvider]:
    """In place of the engine, where it must be slow, odd or counted."""
    with ScriptedProvider() as running:
        point_at(settings, running)
        yield running


def sent(owner: User, name: str = "Day to night") -> Job:
    dataset = make_dataset(owner, stored=False)
    transfer_now(dataset)
    return send_now(make_job(owner, name=name, dataset=Dataset.objects.get(pk=dataset.pk)))


def adopted(request_id: str) -> Job:
    return Job.objects.get(request_id=request_id)


def timeline_texts(job: Job) -> list[str]:
    return [event.text for event in job.events.all()]


def test_a_job_is_followed_to_its_end(alice: User, engine: RunningEngine) -> None:
    job = followed_until(sent(alice))
    assert (job.state, job.provider_status, job.error) == ("ready", "AVAILABLE", "")
    assert job.can_download
    assert job.can_change_visibility
    assert job.is_simulated
    assert job.cloud_storage_url.startswith(engine.url)
    assert job.slug.startswith(str(job.request_id))
    assert job.ended_at
    order = [state for _, states in choices.STAGES for state in states]
    reached_in = [event.state for event in job.events.all()]
    assert reached_in == sorted(reached_in, key=order.index)
    assert reached_in[-1] == "ready"


def test_a_state_that_nobody_knows_is_shown_as_it_is_and_treated_as_running(
    dataset: Dataset, fake: ScriptedProvider, alice: User
) -> None:
    """docs/reliability.md, A5."""
    odd = "CALIBRATING_LENSES"
    fake.states = ("REQUESTED", odd, odd, "AVAILABLE")
    job = followed_until(send_now(make_job(alice, dataset=dataset)), "running")
    assert job.provider_status == odd
    assert job.is_active
    assert "Calibrating lenses" in text_of(signed_in(alice))
    assert f"Provider status: {odd}" in timeline_texts(job)
    assert followed_until(job).state == "ready"


def test_one_list_call_for_all_and_details_only_of_what_changed(fake: ScriptedProvider) -> None:
    fake.states = ("TRAINING_INITIATED",)
    for number in range(7):
        fake.adds(f"job {number}")

    def calls() -> tuple[int, int]:
        return len(fake.sent("list")), len(fake.sent("details"))

    follow_now()
    assert calls() == (1, 7)
    follow_now()
    assert calls() == (2, 7)
    fake.jobs[3].status = "DEPLOYING"
    follow_now()
    assert calls() == (3, 8)


def test_a_failure_is_shown_in_the_providers_words(alice: User) -> None:
    job = followed_until(sent(alice, "fail-training"))
    assert job.state == "failed"
    assert "asks for this failure: fail-training" in job.error
    html = text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert "asks for this failure: fail-training" in html
    assert "select “Train again with changes”" in html


def test_a_model_that_is_not_deployed_can_be_downloaded(alice: User) -> None:
    job = followed_until(sent(alice, "never-deploys"), "trained")
    assert job.can_download
    assert f"/jobs/{job.pk}/download/" in text_of(signed_in(alice), f"/jobs/{job.pk}/")


def test_a_job_from_elsewhere_is_adopted_once_and_marked(alice: User, engine: RunningEngine) -> None:
    """docs/reliability.md, S19."""
    name = f"elsewhere {now():%H%M%S%f}"
    advanced = {"steps": 300, "learning_rate": 0.0004, "rank": 8, "hold_out": False}
    key = started(engine, name, advance_parameters=advanced)
    request_id = reached(engine, key, "AVAILABLE")["finetune_id"]
    follow_now()
    follow_now()
    job = adopted(request_id)
    assert (job.name, job.owner, job.is_external, job.state) == (name, None, True, "ready")
    assert (job.steps, job.learning_rate, job.instance_prompt) == (300, 0.0004, "Put a hat on the head")
    assert job.parameters == {"rank": 8, "hold_out": False}
    assert timeline_texts(job)[0] == "Found at the provider, started outside the portal"
    assert Job.objects.filter(name=name).count() == 1
    html = text_of(signed_in(alice), f"/?q={name.replace(' ', '+')}")
    assert "Started outside the portal" in html
    assert f"/jobs/{job.pk}/public/" not in html, "it is nobody's, so only admins switch it"


def test_a_switch_thrown_elsewhere_is_seen(engine: RunningEngine) -> None:
    request_id = reached(engine, started(engine), "AVAILABLE")["finetune_id"]
    follow_now()
    form = {"request_id": (None, request_id), "segmind_public": (None, "True")}
    assert call(engine, "PUT", "/finetune/request/access-update", files=form).ok
    follow_now()
    assert adopted(request_id).is_public


@pytest.mark.parametrize("name", ["Day to night", "no-weights"])
def test_nothing_new_changes_nothing(alice: User, name: str) -> None:
    """The table's stamp stays, so that no open page is drawn anew."""
    job = followed_until(sent(alice, name))
    follow_now()
    assert fresh(job).updated_at == job.updated_at


def test_a_dead_provider_is_said_with_the_time_and_recovers(
    alice: User, engine: RunningEngine, settings: Any
) -> None:
    """The last known states stay (docs/reliability.md, A1)."""
    job = sent(alice)
    follow_now()
    point_nowhere(settings)
    follow_now()
    connection = Connection.objects.get()
    since = connection.failing_since
    assert since
    assert connection.due_at > now()
    answered = connection.last_answer_at
    assert answered
    assert answered < since, "the states are older than the trouble"
    Connection.objects.update(last_answer_at=answered - timedelta(hours=3))
    html = text_of(signed_in(alice))
    banner = "Jobs wait and continue by themselves. Since "
    assert "The provider cannot be reached." in html
    assert f'{banner}<time datetime="{since:%Y-%m-%dT%H:%M:%S}' in html
    assert f'shown are from <time datetime="{answered - timedelta(hours=3):%Y-%m-%dT%H:%M:%S}' in html
    assert fresh(job).state in choices.FOLLOWED

    follow_now()
    assert Connection.objects.get().failing_since == since, "it says since when, not when last"

    point_at(settings, engine)
    assert followed_until(job).state == "ready"
    assert banner not in text_of(signed_in(alice))


def test_a_worker_that_does_not_run_is_said(alice: User, fake: ScriptedProvider) -> None:
    """Within two minutes, and the states shown are as old as the last look (docs/reliability.md, D9)."""
    follow_now()
    sentence = "The worker is not running"
    assert sentence not in text_of(signed_in(alice))
    Connection.objects.update(due_at=now() - timedelta(seconds=100))
    assert sentence in text_of(signed_in(alice))
    assert claim(Connection.objects.all(), seconds=60), "a slow answer is no dead worker"
    assert sentence not in text_of(signed_in(alice))


def test_it_asks_less_and_less_often_while_the_provider_is_away(settings: Any) -> None:
    settings.POLL_SECONDS = 20.0
    point_nowhere(settings)
    pauses = []
    for _ in range(5):
        follow_now()
        pauses.append(Connection.objects.get().due_at - now())
    shares = [
        pause.total_seconds() / usual for pause, usual in zip(pauses, (40, 80, 160, 300, 300), strict=True)
    ]
    assert all(0.75 < share <= 1.2 for share in shares), "and not in step with others that began together"
    assert len({round(share, 3) for share in shares}) > 1


def test_a_refused_key_is_tried_twice_in_ten_minutes(fake: ScriptedProvider, settings: Any) -> None:
    """docs/reliability.md, S11."""
    settings.POLL_SECONDS = 20.0
    fake.key = "another"
    follow_now()
    assert Connection.objects.get().due_at - now() > timedelta(minutes=3)
    assert len(fake.requests) == 1


def test_it_asks_seldom_while_nothing_moves(alice: User, fake: ScriptedProvider, settings: Any) -> None:
    settings.POLL_SECONDS, settings.POLL_IDLE_SECONDS = 1.0, 60.0
    fake.states = ("AVAILABLE",)
    fake.adds("done")
    follow_now()
    assert Connection.objects.get().due_at > now() + timedelta(seconds=30)
    fake.adds("new")
    fake.jobs[-1].status = "TRAINING_INITIATED"
    follow_now()
    assert Connection.objects.get().due_at < now() + timedelta(seconds=2)


def test_a_job_that_the_list_has_no_more_is_kept_and_said(alice: User, fake: ScriptedProvider) -> None:
    """A new one may come late, so it is missed only after a while (docs/reliability.md, A9)."""
    fake.states = ("TRAINING_INITIATED",)
    paid = fake.adds("hats")
    jobs = [make_job(alice, "training", request_id=paid.id, provider_status=paid.status, sent_at=now())]
    fake.jobs.clear()
    follow_now()
    assert timeline_texts(jobs[0]) == []

    Job.objects.update(sent_at=now() - timedelta(hours=1))
    follow_now()
    follow_now()
    sentence = "The provider's list no longer has this job."
    job = fresh(jobs[0])
    assert job.state == "training"
    assert sentence.replace("'", "&#x27;") in text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert [text.startswith(sentence) for text in timeline_texts(job)] == [True], "once"

    fake.jobs.append(paid)
    follow_now()
    assert fresh(job).error == ""


def test_the_list_and_the_details_may_have_other_words_for_one_state(fake: ScriptedProvider) -> None:
    """docs/provider-api.md, 15: what both keep saying is no news, and the timeline does not go to and fro."""
    fake.states = ("DEPLOYING",)
    paid = fake.adds("hats")
    in_details = {"finetune": {"id": paid.id, "status": "ALMOST_THERE", "public_model": True}}
    fake.script("details", *[says(200, in_details)] * 9)
    for _ in range(4):
        follow_now()
    job = Job.objects.get()
    assert (job.provider_status, job.is_public) == ("ALMOST_THERE", True)
    assert len(fake.sent("details")) == 1
    assert len(timeline_texts(job)) == 3, "adopted, its state in the list, and that in the details"
    paid.status = "AVAILABLE"
    fake.unscript()
    follow_now()
    follow_now()
    assert (fresh(job).state, len(fake.sent("details"))) == ("ready", 2)
    paid.status = "DEPLOYING"
    follow_now()
    assert fresh(job).state == "deploying", "the newest word counts, also when it goes back"


def test_news_that_the_worker_died_on_are_news_again(
    fake: ScriptedProvider, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the list and the row: the next look must not take the state for one that it knows."""
    fake.states = ("AVAILABLE",)
    paid = fake.adds("hats")
    job = make_job(alice, "training", request_id=paid.id, provider_status="TRAINING_INITIATED")
    with monkeypatch.context() as dying:
        dying.setattr(details, "update_job", lambda *args, **options: sys.exit())
        with pytest.raises(SystemExit):
            follow_now()
    Connection.objects.update(lease_expires_at=None)
    follow_now()
    assert fresh(job).state == "ready"


def test_a_look_at_many_new_jobs_takes_no_longer_than_it_may(
    fake: ScriptedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An account with a long past must not make the running jobs wait for its details."""
    monkeypatch.setattr(details, "DETAILS_SECONDS", 0.5)
    fake.states = ("AVAILABLE",)
    for number in range(30):
        fake.adds(f"job {number}")
    fake.script("details", *[Answer(delay=0.1)] * 60)
    follow_now()
    assert Job.objects.filter(state="ready").count() == 30
    assert 0 < len(fake.sent("details")) < 15, "each takes a tenth of a second"
    asked = len(fake.sent("details"))

    def has_all_details() -> bool:
        follow_now()
        return not Job.objects.filter(provider_data__partial=True).exists()

    until(has_all_details)
    assert len(fake.sent("details")) == 30 > asked


def test_details_that_cannot_be_had_hold_no_others_up(fake: ScriptedProvider) -> None:
    fake.states = ("AVAILABLE",)
    for number in range(5):
        fake.adds(f"bad {number}")
    bad = {paid.id for paid in fake.jobs}
    right = fake.receive

    def receive(request: Request) -> tuple[Answer, bytes]:
        if request.path.endswith("/details") and request.json["request_id"] in bad:
            return says(500, b"<html>"), b""
        return right(request)

    fake.receive = receive  # type: ignore[method-assign]
    follow_now()
    fake.adds("good")
    follow_now()
    assert Job.objects.get(name="good").can_download


def test_two_workers_ask_once() -> None:
    """docs/reliability.md, A12."""
    connections.built_in()
    poll.poll_now()
    assert claim(Connection.objects.all(), seconds=60)
    assert not poll.poll_next()
