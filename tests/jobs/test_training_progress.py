"""What an engine tells beyond the vendor's API: kept by the worker, shown on job page and table."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.models import Job, Training
from finetune_portal.jobs.page.curves import Curves
from finetune_portal.jobs.sync import progress, samples
from finetune_portal.queue.leases import claim
from finetune_portal.worker.tasks import TASKS, fetch_progress
from tests.engine.calling import reached, started
from tests.jobs.reported_progress import PROGRESS, ended, look, page_of
from tests.jobs.reported_progress import job as job
from tests.jobs.reported_progress import provider as provider
from tests.people import make_job, signed_in
from tests.provider import PICTURE, Answer, ScriptedProvider, breaks, endless, says
from tests.running import RunningEngine
from tests.worker.driving import follow_now, fresh, point_at, text_of

# What is shown ---------------------------------------------------------------------------------------------


def test_the_page_and_the_table_say_how_far_it_is(alice: User, provider: ScriptedProvider, job: Job) -> None:
    assert fetch_progress in {task.step for task in TASKS}
    look()
    page = page_of(alice, job)
    assert "40 % · step 40 of 100 · about 1 min 30 s left · 2.5 GB of memory" in page
    row = text_of(signed_in(alice), "/")
    assert ">40 % · 1 min 30 s left</span>" in row
    assert '<progress max="100" value="40"' in row
    assert Job.objects.get().updated_at == job.updated_at, "the job itself did not change"


def test_the_curve_stands_in_the_page_for_the_eye_and_for_the_ear(
    alice: User, provider: ScriptedProvider, job: Job
) -> None:
    look()
    html = text_of(signed_in(alice), f"/jobs/{job.pk}/")
    for name, points in (("losses", PROGRESS["loss"]), ("held-out", PROGRESS["held_out"]["loss"])):  # type: ignore[index]
        match = re.search(rf'data-{name}="([^"]*)"', html)
        assert match
        assert json.loads(match[1]) == points
    page = page_of(alice, job)
    assert "The loss went from 0.975 to 0.615" in page
    assert "On the held-out pair, which is not trained on, it went from 0.800 to 0.400 : 50 % lower" in page
    assert "js/loss-curve.js" in html
    assert "Weighted" not in page, "nothing is said that the provider does not report"
    rows = Curves(Training.objects.get()).rows
    assert len(rows) == 10
    assert (rows[-1].step, rows[-1].held_out) == (40, 0.4)


def test_the_page_says_what_is_done_before_the_first_step(
    alice: User, provider: ScriptedProvider, job: Job
) -> None:
    before = {"percent": 0, "phase": "Encoding 6 pairs", "log": ["10:20:30 Encoding 6 pairs.", "<b>", 7]}
    provider.progress = before
    training = look()
    assert (training.phase, training.log) == ("Encoding 6 pairs", ["10:20:30 Encoding 6 pairs.", "<b>", "7"])
    page = page_of(alice, job)
    assert "Encoding 6 pairs…" in page
    assert "0 %" not in page
    row = text_of(signed_in(alice), "/")
    assert ">Encoding 6 pairs…<" in row
    assert "0 %" not in row
    assert "Training progress of" not in row, "there is no empty bar"
    html = text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert "10:20:30 Encoding 6 pairs.\n&lt;b&gt;\n7" in html
    provider.progress = {**PROGRESS, "phase": "Making the sample of step 40"}
    look()
    assert "40 % · step 40 of 100" in page_of(alice, job)
    assert "Making the sample" not in text_of(signed_in(alice), "/")
    assert "· Making the sample of step 40…" in page_of(alice, job)


@pytest.mark.parametrize(
    "odd", [{"phase": ["a"], "log": "text"}, {"phase": "x" * 9999, "log": ["y" * 9999] * 99}]
)
def test_an_odd_phase_or_log_is_cut_or_left_out(provider: ScriptedProvider, job: Job, odd: Any) -> None:
    provider.progress = {**PROGRESS, **odd}
    training = look()
    assert len(training.phase) <= 80
    assert len(training.log) <= 40
    assert all(len(line) <= 300 for line in training.log)


def test_a_training_that_makes_it_worse_is_said(alice: User, provider: ScriptedProvider, job: Job) -> None:
    look()
    assert "above that of the untrained model" not in page_of(alice, job)
    provider.progress = {
        **PROGRESS,
        "held_out": {"loss": [[0, 0.8], [20, 0.6], [40, 0.9]], "trained_on": False},
    }
    look()
    page = page_of(alice, job)
    assert "it went from 0.800 to 0.900 : higher" in page
    assert "The loss on the held-out pair is above that of the untrained model." in page


def test_the_weighted_loss_is_told_beside_and_decides_whether_it_got_worse(
    alice: User, provider: ScriptedProvider, job: Job
) -> None:
    falls, rises = [[0, 0.8], [40, 0.4]], [[0, 0.5], [40, 0.7]]
    provider.progress = {**PROGRESS, "held_out": {"loss": falls, "weighted_loss": rises, "trained_on": False}}
    look()
    page = page_of(alice, job)
    assert "it went from 0.800 to 0.400 : 50 % lower" in page
    assert "Weighted by the noise levels that a sample passes" in page
    assert "it went from 0.500 to 0.700 ." in page
    assert "above that of the untrained model" in page
    html = text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert 'data-held-out-weighted="[[0, 0.5], [40, 0.7]]"' in html
    assert Curves(Training.objects.get()).rows[-1].weighted == 0.7


def test_the_samples_are_fetched_once_and_shown(
    alice: User, charlie: User, provider: ScriptedProvider, job: Job
) -> None:
    training = look(3)
    assert training.samples == [0, 20, 40]
    assert len(provider.sent("sample")) == 5
    for name in ("control", "target", "0", "20", "40"):
        response = signed_in(charlie).get(f"/jobs/{job.pk}/samples/{name}/")
        assert b"".join(response) == PICTURE
        assert response.headers["Content-Type"] == "image/png"
    for name in ("30", "passwd", "control-png"):
        assert signed_in(charlie).get(f"/jobs/{job.pk}/samples/{name}/").status_code == 404
    assert "Untrained" in page_of(alice, job)


@pytest.mark.parametrize(
    "odd",
    [says(200, b"<svg onload=alert(1)>"), says(404), says(200, PICTURE[:40]), endless(body=PICTURE * 1000)],
)
def test_a_picture_that_is_none_is_left_out_and_not_asked_for_again(
    provider: ScriptedProvider, job: Job, odd: Answer
) -> None:
    provider.script("sample", Answer(), Answer(), odd)
    training = look(3)
    assert training.samples == [20, 40]
    assert len(provider.sent("sample")) == 5


def test_a_picture_whose_answer_was_lost_comes_later(provider: ScriptedProvider, job: Job) -> None:
    provider.script("sample", breaks(taken=False))
    first = look()
    assert (first.percent, first.samples) == (40, [])
    assert look(3).samples == [0, 20, 40]


def test_pictures_that_came_before_a_lost_answer_are_kept(provider: ScriptedProvider, job: Job) -> None:
    provider.script("sample", Answer(), Answer(), Answer(), breaks(taken=False))
    look()
    assert samples.stored(job.pk, [0, 20, 40]) == [0]
    assert look(3).samples == [0, 20, 40]
    assert len(provider.sent("sample")) == 6, "each but the lost one is fetched once"


def test_a_simulated_training_tells_percent_and_no_more(
    alice: User, engine: RunningEngine, settings: Any
) -> None:
    """The real engine. Nothing is made up: no curve, no sample."""
    point_at(settings, engine)
    connections.built_in()
    key = started(engine, "Hats slow", advance_parameters={"steps": 20_000, "learning_rate": 0.0001})
    reached(engine, key, "TRAINING_INITIATED")
    job = make_job(alice, "training", steps=20_000, request_id=key)
    follow_now()
    training = look()
    assert training.percent is not None
    assert (training.losses, training.held_out, training.samples) == ([], [], [])
    page = page_of(alice, job)
    assert re.search(r"\d+ % (?!·)", page)
    assert "The local engine only simulates this training." in page
    assert "js/loss-curve.js" not in text_of(signed_in(alice), f"/jobs/{job.pk}/")


def test_the_place_in_the_queue_is_shown(alice: User, provider: ScriptedProvider, job: Job) -> None:
    provider.progress = {"percent": 0, "step": None, "ahead": 2}
    look()
    assert "Waiting in the queue, 2 jobs ahead." in page_of(alice, job)


@pytest.mark.parametrize(
    ("information", "words"),
    [
        ({"base_model": "FLUX.1-Kontext-dev", "tiny_model": False}, "Base model: FLUX.1-Kontext-dev"),
        (
            {"base_model": "x", "tiny_model": True},
            "Base model: the tiny test model, too small to make useful pictures.",
        ),
        ({"base_model": ["odd"]}, ""),
        ("odd", ""),
    ],
)
def test_it_says_which_model_trains(
    alice: User, provider: ScriptedProvider, job: Job, information: Any, words: str
) -> None:
    look()
    Job.objects.update(provider_data={"model_information": information})
    page = page_of(alice, job)
    assert words in page
    assert ("Base model: " in page) is bool(words)


def test_trainings_are_compared_by_what_they_never_saw(
    alice: User, provider: ScriptedProvider, job: Job
) -> None:
    look()
    other, old = (make_job(alice, "ready", request_id=key) for key in "23")
    Training.objects.create(job=other, held_out=[[0, 0.8], [100, 0.2]])
    html = text_of(signed_in(alice), f"/jobs/compare/?job={job.pk}&job={other.pk}&job={old.pk}")
    row = re.search(r"Loss of the held-out pair(.*?)</tr>", html, re.DOTALL)
    assert row
    assert re.findall(r"[0-9.]+ → [0-9.]+|–", row[1]) == ["0.800 → 0.400", "0.800 → 0.200", "–"]
    assert "Loss of the held-out pair" not in text_of(signed_in(alice), f"/jobs/compare/?job={old.pk}")


def test_with_the_vendor_all_this_is_absent(alice: User, provider: ScriptedProvider, job: Job) -> None:
    provider.can = ()
    for _ in range(5):
        fetch_progress()
    assert not Training.objects.exists()
    assert not provider.sent("progress")
    html = text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert 'id="training"' not in html
    assert "Cancel job" not in html


# When it is asked -----------------------------------------------------------------------------------------


def test_after_the_end_it_is_asked_for_once_more(alice: User, provider: ScriptedProvider, job: Job) -> None:
    look()
    provider.progress = {**PROGRESS, "percent": 100, "step": 100, "samples": list(range(0, 101, 20))}
    ended(provider, job, "AVAILABLE")
    assert fresh(job).state == "ready"
    training = look(3)
    assert training.is_over
    assert training.samples == [0, 20, 40, 60, 80, 100]
    asked = len(provider.requests)
    look(3)
    assert len(provider.requests) == asked
    page = page_of(alice, job)
    assert "50 % lower" in page
    assert "of memory" not in page


def test_what_does_not_answer_after_the_end_is_given_up(provider: ScriptedProvider, job: Job) -> None:
    look()
    ended(provider, job, "FAILED")
    provider.script("progress", *[says(500)] * 20)
    assert look(progress.MAX_ATTEMPTS).is_over


def test_a_training_of_which_nobody_knows_is_given_up_after_its_end(
    provider: ScriptedProvider, job: Job
) -> None:
    """The provider may be another by now, so it is asked what it can."""
    look()
    provider.script("progress", *[says(404)] * 20)
    assert not look().is_over
    ended(provider, job, "FAILED")
    assert look().is_over
    assert Connection.objects.get().capabilities_due_at <= now() + timedelta(minutes=1)


def test_a_killed_worker_loses_nothing(provider: ScriptedProvider, job: Job) -> None:
    look()
    Training.objects.update(due_at=now() - timedelta(seconds=1))
    assert claim(Training.objects.all(), seconds=60), "claimed, then killed"
    Training.objects.update(percent=None)
    assert not progress.fetch_next(), "its lease holds"
    Training.objects.update(lease_expires_at=now() - timedelta(seconds=1))
    assert progress.fetch_next()
    assert Training.objects.get().percent == 40


def test_nothing_is_asked_while_the_provider_is_away(provider: ScriptedProvider, job: Job) -> None:
    look()
    Connection.objects.update(failing_since=now())
    asked = len(provider.requests)
    look(3)
    assert len(provider.requests) == asked


def test_more_trainings_take_no_more_queries(alice: User, provider: ScriptedProvider, job: Job) -> None:
    look()

    def queries(url: str) -> int:
        client = signed_in(alice)
        client.get(url)
        make_job(alice, "ready", request_id=None)  # so that the page is rendered anew
        with CaptureQueriesContext(connection) as match:
            client.get(url)
        return len(match)

    few = queries("/")
    for number in range(20):
        other = make_job(alice, "training", request_id=f"r-{number}")
        Training.objects.create(job=other, percent=number)
    assert queries("/") == few


def test_pictures_lie_in_the_data_folder(provider: ScriptedProvider, job: Job, settings: Any) -> None:
    look(2)
    kept = samples.path(job.pk, "0")
    assert Path(settings.DATA_DIR) in kept.parents
    assert not list(kept.parent.glob(".*"))
