"""The form of a new job says how long it trains, by the team's finished jobs like it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.durations import ExpectedTime
from finetune_portal.jobs.expected import PastJobs
from finetune_portal.jobs.models import Job, JobEvent, Training
from finetune_portal.providers.segmind import parameters
from tests.fal.calls import KLEIN, KONTEXT
from tests.jobs.reported_progress import PROGRESS, look
from tests.jobs.reported_progress import job as job
from tests.jobs.reported_progress import provider as provider
from tests.people import make_dataset, make_job, signed_in
from tests.provider import ScriptedProvider

BEGAN = now() - timedelta(days=1)
URL = "/jobs/new/"


@pytest.fixture(autouse=True)
def engine(db: None) -> Connection:
    connection = connections.built_in()
    connection.parameters = list(parameters.KNOWN)
    connection.save()
    return connection


def expected_time(user: User, at: Connection, trainer: str, steps: list[int]) -> ExpectedTime | None:
    return PastJobs(user, at, trainer).expected(at, trainer, steps, {}, 1).time


def trained(owner: User | None, seconds: float, state: str = State.READY, **fields: Any) -> Job:
    """A job that trained so long, after an hour in the queue."""
    sent_at, ended_at = BEGAN - timedelta(hours=1), BEGAN + timedelta(seconds=seconds)
    job = make_job(owner, state, sent_at=sent_at, ended_at=ended_at, **fields)
    for moved_to, at in (("requested", sent_at), ("training", BEGAN), (state, ended_at)):
        JobEvent.objects.create(job=job, state=moved_to, created_at=at, source="poll", text=moved_to)
    return job


def trained_three(owner: User, each: Iterable[float] = (230, 240, 250), **fields: Any) -> list[Job]:
    return [trained(owner, seconds, **fields) for seconds in each]


def shown(user: User, url: str = URL, **query: Any) -> str:
    """What the form says of the time; the piece that is swapped, where there is a query."""
    html = signed_in(user).get(url, query).content.decode()
    words = " ".join(re.sub(r"<[^>]+>", " ", html[html.index('id="price"') :]).split())
    match = re.search(r"About [^.$]*? once it trains, [^.]*", words)
    return match[0] if match else ""


def shown_for(user: User, steps: object, **query: Any) -> str:
    return shown(user, f"{URL}price/", steps=steps, **query)


def test_without_finished_jobs_nothing_is_said(alice: User) -> None:
    assert shown(alice) == ""
    trained_three(alice, (240, 240))
    assert shown(alice) == "", "two jobs may be an accident"


def test_the_team_s_finished_jobs_say_how_long_it_trains(alice: User, bob: User) -> None:
    trained_three(bob)
    assert shown(alice) == "About 4 min once it trains, based on the team’s last 3 jobs like it"
    assert shown_for(alice, 300) == shown(alice), "swapped by the same words"
    assert "once it trains" in signed_in(alice).get(f"{URL}parameters/", {"steps": 300}).content.decode()


def test_it_is_scaled_by_the_steps(alice: User) -> None:
    trained_three(alice)
    assert "About 8 min once" in shown_for(alice, 600)
    assert "About 2 min once" in shown_for(alice, 150)
    assert shown_for(alice, 601) == "", "more than twice the steps of any job"
    assert shown_for(alice, 149) == ""
    assert "About 4 min to 6 min a job once" in shown_for(alice, "300; 450")
    assert shown_for(alice, "300; 3000") == "", "not known of one of them"
    assert shown_for(alice, "many") == ""


def test_jobs_of_as_many_steps_are_worth_more_than_scaled_ones(alice: User) -> None:
    trained_three(alice, steps=300)
    trained_three(alice, (300, 300, 300), steps=500)
    assert "About 5 min once it trains, based on the team’s last 3 jobs" in shown_for(alice, 500)
    assert "last 6 jobs" in shown_for(alice, 400)


def test_the_median_of_the_last_ten_counts(alice: User) -> None:
    trained_three(alice, [480] * 20)
    trained_three(alice, [240] * 9 + [600])
    assert shown(alice) == "About 4 min once it trains, based on the team’s last 10 jobs like it"


def test_three_jobs_that_differ_too_much_say_nothing(alice: User) -> None:
    trained_three(alice, (100, 200, 300))
    assert "About 3 min 30 s once" in shown(alice)
    Job.objects.all().delete()
    trained_three(alice, (100, 200, 301))
    assert shown(alice) == ""


@pytest.mark.parametrize("outlier", [10, 3600])
def test_one_outlier_among_many_hides_nothing(alice: User, outlier: float) -> None:
    trained_three(alice, (230, 240, 250, outlier))
    assert shown(alice) == "About 4 min once it trains, based on the team’s last 4 jobs like it"


@pytest.mark.parametrize("each", [(60, 60, 600, 600), (60, 60, 60, 600, 600), (60,) * 5 + (600,) * 5])
def test_jobs_of_two_kinds_say_nothing(alice: User, each: tuple[float, ...]) -> None:
    """No half of them is alike."""
    trained_three(alice, each)
    assert shown(alice) == ""


def test_the_input_images_of_a_pair_count(alice: User, bob: User) -> None:
    """A step with three of them takes longer than with one."""
    three = make_dataset(bob, most_inputs=3)
    trained_three(alice, (900, 900, 900), dataset=three)
    trained_three(alice, (240, 240), dataset=make_dataset(bob))
    assert shown_for(alice, 300) == "", "two like it are too few"
    assert "About 15 min" in shown_for(alice, 300, dataset=three.pk)
    query = {"steps": 300, "dataset": three.pk}
    assert "About 15 min" in shown(alice, f"{URL}parameters/", **query), "as the trainer changes, too"
    trained(alice, 240, dataset=None)
    assert "About 4 min" in shown_for(alice, 300)
    assert "About 15 min" in shown(alice, URL, dataset=three.pk)


def test_only_jobs_that_became_ready_count(alice: User) -> None:
    trained_three(alice, state=State.FAILED, error="It broke.")
    trained_three(alice, state=State.FAILED, error="Cancelled.")
    trained_three(alice, state=State.CLOSED)
    assert shown(alice) == ""


def test_other_trainers_and_connections_do_not_count(alice: User, dana: User, engine: Connection) -> None:
    trained_three(alice, trainer=KLEIN)
    trained_three(alice, connection=connections.add(name="A", base_url="", key="sk-a", actor=dana))
    assert shown(alice) == ""
    assert expected_time(alice, engine, KLEIN, [300]) == ExpectedTime(
        timedelta(minutes=4), timedelta(minutes=4), 3
    )
    assert expected_time(alice, engine, KONTEXT, [300]) is None


def test_jobs_that_a_person_may_not_see_do_not_count(alice: User, bob: User, engine: Connection) -> None:
    trained_three(alice)
    assert expected_time(bob, engine, "", [300])
    bob.is_active = False
    assert expected_time(bob, engine, "", [300]) is None


def test_parameters_that_change_a_step_count(alice: User, engine: Connection) -> None:
    trained_three(alice, parameters={"batch_size": 4, "rank": 8})
    assert shown_for(alice, 300) == ""
    query = {"connection": engine.pk, "parameter-rank": "32"}
    assert "About 4 min" in shown_for(alice, 300, **query, **{"parameter-batch_size": "4"})
    assert shown_for(alice, 300, **query, **{"parameter-batch_size": "2; 4"}) == ""
    assert shown_for(alice, 300, **query, **{"parameter-batch_size": "no number"}) == ""


def test_the_batches_of_a_step_count(alice: User, engine: Connection) -> None:
    trained_three(alice, parameters={"gradient_accumulation_steps": 8})
    assert shown_for(alice, 300, offer=f"{engine.pk} ") == ""


def test_what_an_engine_trained_otherwise_before_does_not_count(alice: User) -> None:
    trained_three(alice, is_simulated=True)
    trained_three(alice, (900, 900), provider_data={"model_information": {"base_model": "real"}})
    assert shown(alice) == "", "two of the newer kind are too few"
    trained(alice, 900, provider_data={"model_information": {"base_model": "real"}})
    assert "About 15 min once it trains, based on the team’s last 3 jobs" in shown(alice)


def test_the_queue_of_an_engine_is_no_training(alice: User, provider: ScriptedProvider, job: Job) -> None:
    """Its jobs wait for the GPU in the state of a training."""
    provider.progress = {**PROGRESS, "percent": 0, "ahead": 1}
    assert look().began_at is None
    provider.progress = PROGRESS
    began = look().began_at
    assert began
    assert look().began_at == began, "the first time counts"


def test_jobs_that_queued_for_an_unknown_time_do_not_count(alice: User) -> None:
    jobs = trained_three(alice)
    for each in jobs:
        Training.objects.create(job=each, percent=100)
    assert shown(alice) == "", "from before the portal kept when the training began"
    Training.objects.update(began_at=BEGAN + timedelta(minutes=2))
    assert "About 2 min once" in shown(alice)


def test_it_is_one_query_by_its_index(alice: User, engine: Connection) -> None:
    trained_three(alice)
    with CaptureQueriesContext(database) as queries:
        assert expected_time(alice, engine, "", [200, 300, 400])
    (query,) = queries
    if database.vendor == "sqlite":
        with database.cursor() as cursor:
            cursor.execute(f"EXPLAIN QUERY PLAN {query['sql']}")
            plan = " ".join(str(row) for row in cursor.fetchall())
        assert "jobs_of_a_trainer" in plan
        assert "TEMP B-TREE" not in plan
