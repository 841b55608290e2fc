"""The jobs of a sweep as one row of the table."""

from __future__ import annotations

import re
import uuid
from itertools import product
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.jobs import services
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.projects.models import Project
from finetune_portal.web.errors import ActionError
from tests.people import HTMX, make_job, signed_in
from tests.worker.driving import fresh, text_of

RATES, STEPS = (0.0001, 0.0002), (300, 1000)


@pytest.fixture(autouse=True)
def the_connection(db: None) -> None:
    connections.built_in()


def make_sweep(owner: User, *states: str, name: str = "Moons", **fields: Any) -> list[Job]:
    """Two learning rates by two numbers of steps, in these states, the last of them for the others, too."""
    states = states or (State.READY,)
    shared = {"sweep": uuid.uuid4(), "sweep_axes": ["learning_rate", "steps"], "name": name, **fields}
    return [
        make_job(owner, states[min(at, len(states) - 1)], learning_rate=rate, steps=steps, **shared)
        for at, (rate, steps) in enumerate(product(RATES, STEPS))
    ]


def rows(html: str) -> list[str]:
    """The ids of the rows, from top to bottom."""
    return re.findall(r'<tr id="((?:job|sweep)-[^"]+)"', html)


def row_of(html: str, row_id: str) -> str:
    match = re.search(rf'<tr id="{row_id}".*?</tr>', html, re.S)
    assert match, row_id
    return match[0]


def test_a_sweep_is_one_row_at_the_place_of_its_newest_job(alice: User) -> None:
    before, jobs, after = make_job(alice), make_sweep(alice, "ready", "failed", "training"), make_job(alice)
    html = text_of(signed_in(alice))
    assert rows(html) == [f"job-{after.pk}", f"sweep-{jobs[0].sweep}", f"job-{before.pk}"]
    row = row_of(html, f"sweep-{jobs[0].sweep}")
    for text in (
        "Moons</bdi>",
        "learning rate 0.0001, 0.0002 · 300, 1000 steps",
        "2 of 4 done",
        "<span>1 ready ·</span> <span>1 failed ·</span> <span>2 training</span>",
        '<progress max="4" value="2"',
        f'value="{",".join(str(job.pk) for job in jobs)}"',
    ):
        assert text in row
    assert "All <span>6</span>" in html, "the tabs count jobs"


def test_a_failure_among_models_is_not_called_good(alice: User) -> None:
    some, all_of_it = make_sweep(alice, "ready", "failed"), make_sweep(alice, "ready")
    html = text_of(signed_in(alice))
    assert 'data-tone="warn"' in row_of(html, f"sweep-{some[0].sweep}")
    assert 'data-tone="good"' in row_of(html, f"sweep-{all_of_it[0].sweep}")


def test_it_unfolds_by_its_button_and_by_address_and_folds_again(alice: User) -> None:
    jobs, others = make_sweep(alice), make_sweep(alice, name="Others")
    client, key = signed_in(alice), str(jobs[0].sweep)
    html = text_of(client, f"/?unfolded={others[0].sweep}&unfold={key}")
    under = [f"job-{job.pk}" for job in jobs]
    assert rows(html) == [
        *(f"sweep-{others[0].sweep}", *(f"job-{job.pk}" for job in others)),
        *(f"sweep-{key}", *under),
    ]
    row = row_of(html, f"sweep-{key}")
    assert f'aria-expanded="true" aria-controls="{" ".join(under)}"' in row
    assert 'name="job"' not in row, "its jobs have boxes of their own"
    assert "0.0002 · 1,000 steps</span></a>" in row_of(html, under[-1])
    assert f'name="unfolded" value="{others[0].sweep},{key}"' in html
    folded = text_of(client, f"/?unfolded={others[0].sweep},{key}&fold={key}")
    assert f"job-{jobs[0].pk}" not in rows(folded)
    assert 'aria-expanded="false"' in row_of(folded, f"sweep-{key}")
    asked_again = re.search(r'hx-get="(/jobs/table/[^"]+)"', html)
    assert asked_again
    assert client.get(asked_again[1].replace("&amp;", "&"), headers=HTMX).status_code == 204
    Job.objects.update(updated_at="2100-01-01T00:00Z")
    answer = client.get(asked_again[1].replace("&amp;", "&"), headers=HTMX).content.decode()
    assert rows(answer) == rows(html), "it stays unfolded while the table asks again"


@pytest.mark.parametrize(
    "query", ["state=ready", "q=moons", "sort=name", "sort=oldest", "public=off", "tag=x"]
)
def test_a_job_has_a_row_of_its_own_where_the_table_may_leave_out_others(alice: User, query: str) -> None:
    jobs = make_sweep(alice, tags="x")
    html = text_of(signed_in(alice), f"/?{query}")
    assert sorted(rows(html)) == sorted(f"job-{job.pk}" for job in jobs)
    assert '<bdi>Moons</bdi> <span class="number">0.0001 · 300 steps</span>' in html


def test_no_sweep_is_split_or_lost_between_two_pages(alice: User) -> None:
    every = [make_sweep(alice)[0].sweep if number % 2 else make_job(alice).pk for number in range(64)]
    client = signed_in(alice)
    first = text_of(client)
    older = re.search(r'rel="next" href="([^"]+)"', first)
    assert older
    second = text_of(client, "/" + older[1])
    shown = [row.split("-", 1)[1] for row in rows(first) + rows(second)]
    assert shown == [str(key) for key in reversed(every)]
    assert len(rows(first)) == 50


def test_it_speaks_only_of_the_jobs_that_the_viewer_sees(alice: User, bob: User) -> None:
    hidden = Project.objects.create(name="Secret", folded_name="secret", is_private=True)
    jobs = make_sweep(alice)
    Job.objects.filter(pk__in=[job.pk for job in jobs[2:]]).update(project=hidden)
    html = text_of(signed_in(bob), f"/?unfolded={jobs[0].sweep}")
    assert rows(html) == [f"sweep-{jobs[0].sweep}", *(f"job-{job.pk}" for job in jobs[:2])]
    row = row_of(html, rows(html)[0])
    assert "2 of 2 done" in row
    assert "0.0002" not in row
    Job.objects.filter(pk=jobs[1].pk).update(project=hidden)
    assert rows(text_of(signed_in(bob))) == [f"job-{jobs[0].pk}"], "one alone is a row like any other"


def test_more_sweeps_take_no_more_queries(alice: User) -> None:
    client = signed_in(alice)
    text_of(client)  # the first visit of a session also writes

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            text_of(client, "/?unfolded=" + ",".join(str(key) for key in set(keys)))
        return len(captured)

    keys = [make_sweep(alice)[0].sweep]
    few = queries()
    keys += [make_sweep(alice)[0].sweep for _ in range(9)]
    assert queries() == few <= 15


def test_bulk_actions_take_all_jobs_of_a_selected_sweep(alice: User) -> None:
    jobs, other = make_sweep(alice), make_job(alice)
    keys = ",".join(str(job.pk) for job in jobs)
    signed_in(alice).post("/jobs/bulk/", {"action": "archive", "job": [keys, str(jobs[0].pk)]})
    assert set(Job.objects.exclude(archived_at=None)) == set(jobs)
    assert fresh(other).archived_at is None


def test_more_jobs_than_can_be_selected_are_refused_in_words(alice: User) -> None:
    keys = ",".join(str(make_job(alice).pk) for _ in range(51))
    answer = signed_in(alice).post("/jobs/bulk/", {"action": "archive", "job": keys}, follow=True)
    assert "select at most 50 jobs at a time" in answer.content.decode()
    assert not Job.objects.exclude(archived_at=None).exists()


def test_one_job_is_the_best_of_its_sweep(alice: User, bob: User) -> None:
    jobs, client = make_sweep(alice, "ready", "ready", "failed"), signed_in(alice)
    key = jobs[0].sweep
    for job in jobs[:2]:
        answer = client.post(f"/jobs/{job.pk}/best/", {"best": "on"}, headers=HTMX)
        assert 'aria-pressed="true"' in answer.content.decode()
    assert list(Job.objects.filter(is_best=True)) == [jobs[1]]
    assert jobs[0].events.get(text="No longer the best of its sweep"), "it is said where it was the best"
    row = row_of(text_of(signed_in(bob)), f"sweep-{key}")
    assert f'class="best" href="/jobs/{jobs[1].pk}/"' in row
    assert "0.0001 · 1,000 steps" in row
    unfolded = text_of(signed_in(bob), f"/?unfolded={key}")
    assert "Best of the sweep" in row_of(unfolded, f"job-{jobs[1].pk}")
    assert f"/jobs/{jobs[1].pk}/best/" not in unfolded
    client.post(f"/jobs/{jobs[1].pk}/best/")
    client.post(f"/jobs/{jobs[2].pk}/best/", {"best": "on"})
    assert not Job.objects.filter(is_best=True).exists(), "one that made no model is not the best"
    with pytest.raises(ActionError):
        services.set_best(make_job(alice, "ready"), best=True, actor=alice)
