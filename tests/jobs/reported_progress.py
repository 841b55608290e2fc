"""An engine that reports the progress of one training, and the worker that fetches it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.jobs.models import Job, Training
from finetune_portal.worker.tasks import fetch_progress
from tests.people import make_job, signed_in
from tests.provider import ScriptedProvider
from tests.worker.driving import follow_now, point_at, text_of

ABILITIES = ("progress", "losses", "samples", "cancel")
PROGRESS = {
    "percent": 40,
    "step": 40,
    "ahead": 0,
    "seconds_left": 92.4,
    "memory_bytes": 2_500_000_000,
    "loss": [[step, 1 - step / 100] for step in range(1, 41)],
    "held_out": {"loss": [[0, 0.8], [20, 0.6], [40, 0.4]], "trained_on": False},
    "samples": [0, 20, 40],
}


@pytest.fixture
def provider(settings: Any, db: None) -> Iterator[ScriptedProvider]:
    """An engine that reports all there is."""
    with ScriptedProvider() as running:
        running.can, running.progress = ABILITIES, PROGRESS
        running.states = ("TRAINING_INITIATED",)
        point_at(settings, running)
        connections.built_in()
        yield running


@pytest.fixture
def job(alice: User, provider: ScriptedProvider) -> Job:
    paid = provider.adds("hats", advance_parameters={"steps": 100})
    return make_job(alice, "training", steps=100, request_id=paid.id)


def look(times: int = 1) -> Training:
    """The worker's next looks, whatever pause it would make."""
    fetch_progress()
    for _ in range(times):
        Training.objects.update(due_at=now() - timedelta(seconds=1))
        fetch_progress()
    return Training.objects.get()


def page_of(user: User, job: Job) -> str:
    html = text_of(signed_in(user), f"/jobs/{job.pk}/")
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def ended(provider: ScriptedProvider, job: Job, status: str) -> None:
    provider.jobs[0].status = status
    provider.jobs[0].error_message = "It broke." if status == "FAILED" else None
    follow_now()
