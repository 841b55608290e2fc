"""Few pictures are decoded at a time; a request that would wait too long is refused and loses nothing."""

from __future__ import annotations

import fcntl
import uuid
from collections.abc import Iterator
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.datasets import decoding
from finetune_portal.jobs.models import Job
from finetune_portal.playground.choices import MOST_WAITING
from finetune_portal.playground.models import Generation, Input
from tests.people import make_generation, signed_in
from tests.playground.conftest import form, image, ordered, own


@pytest.fixture
def taken(settings: Any) -> Iterator[None]:
    """Other processes decode in all places."""
    folder = Path(settings.DATA_DIR) / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    files = [(folder / f"decoding-{number}").open("w") for number in range(decoding.AT_ONCE)]
    for file in files:
        fcntl.flock(file, fcntl.LOCK_EX)
    yield
    for file in files:
        file.close()


def test_a_run_waits_for_its_turn_and_then_says_so(
    alice: User, job: Job, taken: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "REQUEST_SECONDS", 0.1)
    answer = signed_in(alice).post(f"/jobs/{job.pk}/try/", form(picture=None, file=own(image())))
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "The portal is busy with other pictures, so this was not started." in answer.content.decode()
    assert not Generation.objects.exists()
    assert not Input.objects.exists()


def test_a_pair_is_decoded_for_its_first_run_only(
    alice: User, job: Job, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = signed_in(alice)
    first = ordered(client, job)
    request.getfixturevalue("taken")
    monkeypatch.setattr(decoding, "REQUEST_SECONDS", 0.1)
    assert ordered(client, job).input == first.input
    assert client.post(f"/jobs/{job.pk}/try/", form(picture="pair-1")).status_code == 503
    first.input.path.unlink()
    assert client.post(f"/jobs/{job.pk}/try/", form()).status_code == 503


def test_who_would_hold_too_many_threads_is_told_at_once(
    alice: User, job: Job, taken: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = BoundedSemaphore(1)
    monkeypatch.setattr(decoding, "_waiting", waiting)
    client = signed_in(alice)
    with waiting:
        assert client.post(f"/jobs/{job.pk}/try/", form()).status_code == 503
    taken_by_nobody = decoding.AT_ONCE + 1
    monkeypatch.setattr(decoding, "AT_ONCE", taken_by_nobody)
    assert ordered(client, job).state == "queued", "the next one gets its turn"


@pytest.mark.parametrize("wrong", [{"prompt": " "}, {"steps": "0"}])
def test_a_form_with_another_error_decodes_nothing(
    alice: User, job: Job, taken: None, wrong: dict[str, str]
) -> None:
    data = form(**{"picture": None, "file": own(image()), **wrong})
    assert signed_in(alice).post(f"/jobs/{job.pk}/try/", data).status_code == 422


@pytest.fixture
def waiting_runs(job: Job) -> None:
    generation = make_generation(job)
    generation.state = Generation.State.QUEUED
    for _ in range(MOST_WAITING):
        generation.pk, generation.key = None, uuid.uuid4()
        generation.save()


def test_who_has_too_many_runs_waiting_decodes_nothing(
    alice: User, job: Job, waiting_runs: None, taken: None
) -> None:
    answer = signed_in(alice).post(f"/jobs/{job.pk}/try/", form(picture=None, file=own(image())))
    assert answer.status_code == 422
    assert f"You can have {MOST_WAITING} runs waiting." in answer.content.decode()
