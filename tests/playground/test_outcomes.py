"""The outcome of a generation for each response; one that may be charged is never sent twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.connections.models import Call
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Job
from finetune_portal.playground import generate
from finetune_portal.playground.models import Generation
from tests.people import HTMX, make_generation, signed_in
from tests.playground.conftest import fresh, ordered, ready, run_task, step
from tests.provider import PICTURE, Answer, ScriptedProvider, breaks, endless, half, says
from tests.worker.driving import point_nowhere, text_of


@pytest.fixture
def generation(job: Job) -> Generation:
    """It waits, with its input stored. How a form makes one is in tests/playground/test_run.py."""
    made = make_generation(job)
    made.path.unlink()
    made.state, made.kind = Generation.State.QUEUED, ""
    made.save()
    return made


LOST = [
    says(500, b"<html><h1>Internal Server Error</h1></html>", taken=True),
    says(503, b"", taken=True),
    says(200, b"<html>hello</html>", taken=True),
    breaks(taken=True),
    breaks("reset", taken=True),
    half(),
    endless(body=PICTURE),
]


@pytest.mark.parametrize("answer", LOST)
def test_a_lost_answer_waits_for_a_person(
    alice: User, generation: Generation, provider: ScriptedProvider, answer: Answer
) -> None:
    provider.script("run", answer)
    run_task()
    assert not run_task()
    updated = fresh(generation)
    assert updated.state == "unconfirmed"
    assert updated.error.startswith("The answer was lost.")
    assert "may have been charged" in updated.error
    assert "<html>" not in text_of(signed_in(alice), f"/jobs/{generation.job_id}/").replace("<html lang", "")
    assert len(provider.sent("run")) == 1


def test_a_person_runs_it_again(
    alice: User, bob: User, generation: Generation, provider: ScriptedProvider
) -> None:
    provider.script("run", breaks(taken=True))
    run_task()
    html = text_of(signed_in(alice), f"/jobs/{generation.job_id}/")
    assert "the run may be charged a second time" in html
    signed_in(alice).post(f"/try/runs/{generation.pk}/again/")
    run_task()
    assert fresh(generation).state == "done"
    assert AuditEvent.objects.filter(action="model.run-again", actor=alice).count() == 1
    late = signed_in(alice).post(f"/try/runs/{generation.pk}/again/", follow=True).content.decode()
    assert "there is nothing to run again" in late
    assert not run_task()


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (says(401, {"error": "Unauthorized"}), "The provider does not accept the API key."),
        (says(406, {"error": "Insufficient credits"}), "The account does not have enough credits."),
        (says(404, {"error": "No such model"}), "It says: No such model"),
        (says(422, {"error": "prompt is too long"}), "It says: prompt is too long"),
    ],
)
def test_a_rejected_run_is_reported_and_costs_nothing(
    generation: Generation, provider: ScriptedProvider, answer: Answer, sentence: str
) -> None:
    provider.script("run", answer)
    run_task()
    updated = fresh(generation)
    assert updated.state == "failed"
    assert sentence in updated.error
    assert updated.error.endswith("Nothing was charged.")


def test_a_pause_that_was_asked_for_is_made(generation: Generation, provider: ScriptedProvider) -> None:
    provider.script("run", says(503, {"error": "Trainings have all of it."}, Retry_After="30"))
    before = now()
    run_task()
    updated = fresh(generation)
    sentence = "Trainings have all of it. The portal tries again by itself."
    assert (updated.state, updated.error) == ("queued", sentence)
    assert before + timedelta(seconds=25) < updated.due_at < now() + timedelta(seconds=31)
    run_task()
    assert fresh(generation).state == "done"


def test_after_a_429_nothing_is_asked_for_a_while(generation: Generation, provider: ScriptedProvider) -> None:
    provider.script("run", says(429, {"error": "Slow down"}, Retry_After="60"))
    run_task()
    assert fresh(generation).state == "queued"
    assert not run_task(), "the account has no call to spare"


def test_retries_end(generation: Generation, provider: ScriptedProvider) -> None:
    provider.script("run", says(503, {"error": "Trainings have all of it."}, Retry_After="1"))
    Generation.objects.update(created_at=now() - generate.RETRY_FOR)
    run_task()
    assert fresh(generation).state == "failed"


def test_each_step_takes_one_call_of_a_limit_that_is_set(generation: Generation, settings: Any) -> None:
    settings.CALLS_A_MINUTE = 5
    assert step()
    assert step()
    assert fresh(generation).state == "done"
    assert Call.objects.count() == 2


def test_a_provider_that_is_away_is_waited_for(generation: Generation, settings: Any) -> None:
    point_nowhere(settings)
    run_task()
    updated = fresh(generation)
    assert (updated.state, updated.error) == (
        "queued",
        "The provider cannot be reached. The portal tries again by itself.",
    )


def test_a_hosting_whose_answer_is_lost_is_tried_again(
    generation: Generation, provider: ScriptedProvider
) -> None:
    """It is free."""
    provider.script("host", breaks(taken=True))
    run_task()
    assert fresh(generation).state == "queued"
    run_task()
    assert fresh(generation).state == "done"
    assert len(provider.runs) == 1


def test_a_result_that_is_no_picture_is_reported(generation: Generation, provider: ScriptedProvider) -> None:
    provider.script("run", says(200, PICTURE[:60], taken=True))
    run_task()
    updated = fresh(generation)
    assert (updated.state, updated.error) == (
        "failed",
        "The provider sent something that is not a readable picture.",
    )


def test_a_worker_that_died_leaves_an_open_question(
    generation: Generation, provider: ScriptedProvider
) -> None:
    Generation.objects.update(
        state="running", started_at=now(), lease_expires_at=now() - timedelta(seconds=1)
    )
    assert not run_task()
    assert fresh(generation).state == "unconfirmed"
    assert provider.runs == []


def test_on_the_own_engine_a_lost_answer_is_tried_again(
    alice: User, dataset: Dataset, provider: ScriptedProvider, settings: Any
) -> None:
    """It costs nothing."""
    settings.LOCAL_ENGINE = True
    client, job = signed_in(alice), ready(alice, dataset)
    for lost, state, detail in ((generate.TRIES - 1, "done", ""), (generate.TRIES, "failed", "Oops")):
        generation = ordered(client, job)
        provider.script("run", *[says(500, {"error": "Oops"})] * lost)
        for _ in range(generate.TRIES):
            assert run_task()
        updated = fresh(generation)
        assert (updated.state, updated.detail) == (state, detail)


def test_an_input_that_is_gone_fails_its_run(generation: Generation, provider: ScriptedProvider) -> None:
    generation.input.path.unlink()
    run_task()
    assert fresh(generation).error == "The input picture of this run no longer exists."
    assert provider.runs == []


def test_the_page_shows_an_outcome_with_its_detail(
    alice: User, generation: Generation, provider: ScriptedProvider
) -> None:
    provider.script("run", says(500, {"error": "CUDA out of memory"}, taken=True))
    run_task()
    html = signed_in(alice).get(f"/try/runs/{generation.pk}/", headers=HTMX).content.decode()
    assert "Technical detail" in html
    assert "CUDA out of memory" in html
