"""What the job page says when something went wrong: the cause, the next step, the provider's own words."""

from __future__ import annotations

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.page.diagnosis import diagnose
from finetune_portal.jobs.timeline import Source, note
from tests.people import make_job, signed_in
from tests.worker.driving import text_of


@pytest.mark.parametrize(
    ("error", "what", "next_step"),
    [
        ("CUDA out of memory. Tried to allocate 20 GiB", "ran out of memory", "smaller images"),
        ("GPU overloaded, use a smaller dataset", "ran out of memory", "smaller images"),
        ("Dataset looks empty, do not make subfolders", "found no images", "at the top level of the ZIP"),
        ("Download failed", "could not download the dataset", "Check the file"),
        ("loss is NaN at step 12", "diverged", "Halve the learning rate"),
        ("Internal server error", "gives no reason", "without changing anything"),
        ("The provider gives no reason.", "gives no reason", "without changing anything"),
    ],
)
def test_a_known_error_is_explained(alice: User, error: str, what: str, next_step: str) -> None:
    job = make_job(alice, State.FAILED, sent_at="2026-01-01T00:00Z", error=error)
    diagnosis = diagnose(job, [])
    assert diagnosis
    assert what in diagnosis.what
    assert next_step in diagnosis.next_step
    assert diagnosis.detail == error


def test_an_unknown_error_is_quoted(alice: User) -> None:
    diagnosis = diagnose(make_job(alice, State.FAILED, error="The name asks for <failure>."), [])
    assert diagnosis
    assert diagnosis.what.endswith("It says: The name asks for <failure>.")
    assert "Train again with changes" in diagnosis.next_step


def test_a_refusal_says_what_to_do_and_folds_the_detail(alice: User) -> None:
    job = make_job(
        alice, State.REFUSED, error="The account does not have enough credits. Nothing was charged."
    )
    note(job, "Refused", source=Source.PORTAL, state=State.REFUSED, detail="HTTP 406: no credits")
    html = text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert "<strong>What to do:</strong> Fix what is named above" in html
    assert "<summary>Technical detail</summary><pre>HTTP 406: no credits</pre>" in html


def test_a_job_without_an_error_has_no_diagnosis(alice: User) -> None:
    assert diagnose(make_job(alice, State.TRAINING), []) is None
    assert "What to do:" not in text_of(signed_in(alice), f"/jobs/{make_job(alice, State.TRAINING).pk}/")
