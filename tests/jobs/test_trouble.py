"""What the job page says when something went wrong: what happened, what to do, and the raw words folded."""

from __future__ import annotations

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.page.diagnosis import trouble
from finetune_portal.jobs.timeline import Source, note
from tests.people import make_job, signed_in
from tests.worker.driving import text_of


@pytest.mark.parametrize(
    ("words", "what", "now"),
    [
        ("CUDA out of memory. Tried to allocate 20 GiB", "ran out of memory", "smaller pictures"),
        ("GPU overloaded, use a smaller dataset", "ran out of memory", "smaller pictures"),
        ("Dataset looks empty, do not make subfolders", "found no pictures", "at the top of the ZIP"),
        ("Download failed", "could not fetch the dataset", "in order"),
        ("loss is NaN at step 12", "ran away", "half the size"),
        ("Internal server error", "does not say why", "change nothing"),
        ("The upstream gives no reason.", "does not say why", "change nothing"),
    ],
)
def test_the_vendors_words_are_told_plainly(alice: User, words: str, what: str, now: str) -> None:
    job = make_job(alice, State.FAILED, sent_at="2026-01-01T00:00Z", error=words)
    found = trouble(job, [])
    assert found
    assert what in found.what
    assert now in found.now
    assert found.detail == words


def test_unknown_words_are_quoted(alice: User) -> None:
    found = trouble(make_job(alice, State.FAILED, error="The name asks for <failure>."), [])
    assert found
    assert found.what.endswith("It says: The name asks for <failure>.")
    assert "Train again with changes" in found.now


def test_a_refusal_says_what_to_do_and_folds_the_detail(alice: User) -> None:
    job = make_job(alice, State.REFUSED, error="The account has not enough credits. Nothing was charged.")
    note(job, "Refused", source=Source.PORTAL, state=State.REFUSED, detail="HTTP 406: no credits")
    html = text_of(signed_in(alice), f"/jobs/{job.pk}/")
    assert "<strong>What to do:</strong> Put right what is named above" in html
    assert "<summary>Technical detail</summary><pre>HTTP 406: no credits</pre>" in html


def test_where_nothing_is_wrong_nothing_is_said(alice: User) -> None:
    assert trouble(make_job(alice, State.TRAINING), []) is None
    assert "What to do:" not in text_of(signed_in(alice), f"/jobs/{make_job(alice, State.TRAINING).pk}/")
