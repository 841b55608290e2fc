"""The progress line of the job page: the stage a job is in, and the time spent in each."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job, JobEvent
from finetune_portal.jobs.page.stages import Stage, progress_line
from tests.fal.calls import KLEIN
from tests.people import make_job, signed_in
from tests.worker.driving import text_of

BEGAN = now() - timedelta(hours=2)


def stages_after(job: Job, *states: tuple[str, int]) -> dict[str, Stage]:
    """The stages once the job reached each state this many seconds after the start."""
    for state, seconds in states:
        at = BEGAN + timedelta(seconds=seconds)
        JobEvent.objects.create(job=job, state=state, created_at=at, source="poll", text=state)
    return {stage.label: stage for stage in progress_line(job, job.events.all())}


def labels_on_the_page(user: User, job: Job) -> list[str]:
    html = text_of(signed_in(user), f"/jobs/{job.pk}/")
    line = html[html.index('class="stages"') :]
    return re.findall(r"<li [^>]*><span>(\w+)</span>", line[: line.index("</ol>")])


def test_each_stage_shows_how_long_it_took(alice: User) -> None:
    job = make_job(alice, State.READY, sent_at=BEGAN)
    states = [("queued", 0), ("sending", 2), ("requested", 3), ("data", 63), ("training", 93)]
    stages = stages_after(job, *states, ("trained", 693), ("", 700), ("deploying", 723), ("ready", 753))
    took = {label: stage.took.seconds for label, stage in stages.items() if stage.took}
    assert took == {"Sending": 3, "Queue": 60, "Data": 30, "Training": 630, "Deploying": 30}
    assert {stage.mark for stage in stages.values()} == {"done"}
    html = text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert "<span>Training</span> <span>10 min 30 s</span>" in html


def test_the_current_stage_counts_on(alice: User) -> None:
    job = make_job(alice, State.DATA, sent_at=BEGAN)
    stages = stages_after(job, ("queued", 0), ("requested", 5), ("data", 65))
    assert stages["Data"].since == BEGAN + timedelta(seconds=65)
    assert [(stage.mark, stage.took) for stage in stages.values()][2:] == [
        ("done", timedelta(seconds=60)),
        ("now", None),
        ("ahead", None),
        ("ahead", None),
        ("ahead", None),
    ]
    html = text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert f'datetime="{stages["Data"].since:%Y-%m-%dT%H:%M:%S}' in html


def test_a_failure_is_marked_at_its_stage(alice: User) -> None:
    job = make_job(alice, State.FAILED, sent_at=BEGAN, ended_at=now(), provider_data={"reached": "data"})
    stages = stages_after(job, ("queued", 0), ("requested", 5), ("data", 65), ("failed", 75))
    assert [stage.mark for stage in stages.values()][2:5] == ["done", "ended", "ahead"]
    assert stages["Data"].took == timedelta(seconds=10)
    assert not any(stage.since for stage in stages.values())


def test_two_periods_in_a_stage_add_up(alice: User) -> None:
    """Sent, not answered, sent again: the time until it was accepted."""
    stages = stages_after(
        make_job(alice, State.REQUESTED, sent_at=now()),
        *[("queued", 0), ("sending", 1), ("unconfirmed", 2), ("requested", 10)],
        *[("queued", 20), ("sending", 21), ("requested", 25)],
    )
    assert stages["Sending"].took == timedelta(seconds=15)


def test_a_job_at_fal_has_the_stages_of_fal(alice: User, at_fal: Connection) -> None:
    job = make_job(alice, State.READY, sent_at=BEGAN, connection=at_fal, trainer=KLEIN)
    stages = stages_after(job, ("queued", 0), ("requested", 5), ("training", 65), ("ready", 365))
    assert list(stages) == ["Dataset", "Sending", "Queue", "Training", "Ready"]
    assert stages["Training"].took == timedelta(seconds=300)
    assert labels_on_the_page(alice, job) == list(stages)
    engine = make_job(alice, State.READY, sent_at=BEGAN)
    with_all = ["Dataset", "Sending", "Queue", "Data", "Training", "Deploying", "Ready"]
    assert labels_on_the_page(alice, engine) == with_all
    beside = text_of(signed_in(alice), f"/jobs/compare/?job={job.pk}&job={engine.pk}")
    assert "5 min" in beside, "a comparison takes jobs with other stages, too"


@pytest.mark.parametrize(
    ("state", "marks"),
    [
        (State.REQUESTED, ["done", "done", "now", "ahead", "ahead"]),
        (State.TRAINING, ["done", "done", "done", "now", "ahead"]),
        (State.RUNNING, ["done", "done", "done", "now", "ahead"]),
    ],
)
def test_its_stages_are_passed_in_their_order(
    alice: User, at_fal: Connection, state: str, marks: list[str]
) -> None:
    job = make_job(alice, state, sent_at=BEGAN, connection=at_fal, trainer=KLEIN)
    assert [stage.mark for stage in progress_line(job, [])] == marks


def test_a_stage_that_a_job_was_seen_in_is_shown_at_any_provider(alice: User, at_fal: Connection) -> None:
    job = make_job(alice, State.TRAINING, sent_at=BEGAN, connection=at_fal, trainer=KLEIN)
    assert "Data" in stages_after(job, ("requested", 0), ("data", 10), ("training", 20))


def test_a_job_found_at_the_provider_shows_only_known_times(alice: User) -> None:
    job = make_job(None, State.READY, sent_at=BEGAN)
    assert [stage.took for stage in progress_line(job, [])] == [None] * 7
    assert stages_after(job, ("requested", 0), ("ready", 90))["Queue"].took == timedelta(seconds=90)
