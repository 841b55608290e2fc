"""The progress line of the job page: where a job stands, and how long it was at each station."""

from __future__ import annotations

from datetime import timedelta

from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job, JobEvent
from finetune_portal.jobs.page.stages import Station, line
from tests.people import make_job, signed_in
from tests.worker.driving import text_of

BEGAN = now() - timedelta(hours=2)


def tell(job: Job, *states: tuple[str, int]) -> dict[str, Station]:
    """Its line, once it came to each of these states so many seconds after the start."""
    for state, seconds in states:
        at = BEGAN + timedelta(seconds=seconds)
        JobEvent.objects.create(job=job, state=state, created_at=at, source="poll", text=state)
    return {station.label: station for station in line(job, job.events.all())}


def test_each_station_tells_how_long_it_took(alice: User) -> None:
    job = make_job(alice, State.READY, sent_at=BEGAN)
    way = [("queued", 0), ("sending", 2), ("requested", 3), ("data", 63), ("training", 93)]
    stations = tell(job, *way, ("trained", 693), ("", 700), ("deploying", 723), ("ready", 753))
    took = {label: station.took.seconds for label, station in stations.items() if station.took}
    assert took == {"Sent": 3, "Queue": 60, "Data": 30, "Training": 630, "Deploying": 30}
    assert {station.mark for station in stations.values()} == {"done"}
    html = text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert "<span>Training</span> <span>10 min 30 s</span>" in html


def test_the_one_where_it_is_now_counts_on(alice: User) -> None:
    job = make_job(alice, State.DATA, sent_at=BEGAN)
    stations = tell(job, ("queued", 0), ("requested", 5), ("data", 65))
    assert stations["Data"].since == BEGAN + timedelta(seconds=65)
    assert [(station.mark, station.took) for station in stations.values()][2:] == [
        ("done", timedelta(seconds=60)),
        ("now", None),
        ("ahead", None),
        ("ahead", None),
        ("ahead", None),
    ]
    html = text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert f'datetime="{stations["Data"].since:%Y-%m-%dT%H:%M:%S}' in html


def test_a_failure_stands_where_it_happened(alice: User) -> None:
    job = make_job(alice, State.FAILED, sent_at=BEGAN, ended_at=now(), provider_data={"reached": "data"})
    stations = tell(job, ("queued", 0), ("requested", 5), ("data", 65), ("failed", 75))
    assert [station.mark for station in stations.values()][2:5] == ["done", "failed", "ahead"]
    assert stations["Data"].took == timedelta(seconds=10)
    assert not any(station.since for station in stations.values())


def test_two_stays_are_added_up(alice: User) -> None:
    """Sent, not answered, sent again: the time until it was accepted."""
    stations = tell(
        make_job(alice, State.REQUESTED, sent_at=now()),
        *[("queued", 0), ("sending", 1), ("unconfirmed", 2), ("requested", 10)],
        *[("queued", 20), ("sending", 21), ("requested", 25)],
    )
    assert stations["Sent"].took == timedelta(seconds=15)


def test_a_job_found_at_the_provider_tells_what_is_known(alice: User) -> None:
    job = make_job(None, State.READY, sent_at=BEGAN)
    assert [station.took for station in line(job, [])] == [None] * 7
    assert tell(job, ("requested", 0), ("ready", 90))["Queue"].took == timedelta(seconds=90)
