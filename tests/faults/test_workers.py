"""Workers beside and after each other: each training is sent once, whoever slept or stopped (S2, S7, D10)."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings

from finetune_portal.jobs.models import Job
from tests import databases
from tests.faults.at_fal import FAL
from tests.faults.conftest import ready
from tests.faults.invariants import faults
from tests.faults.portal import Portal, Workshop, end_of, new_form_key
from tests.faults.processes import Program
from tests.faults.proxy import Fault
from tests.provider import KEY
from tests.waiting import PATIENCE, until

WORKERS, FORMS = 4, 24
STOP_SECONDS = 30.0 * PATIENCE  # the storage is silent for longer


@pytest.mark.long
def test_four_workers_send_each_training_once(workshop: Workshop) -> None:
    with workshop.portal() as portal:
        assert portal.start(*(new_form_key() for _ in range(FORMS))) == 0
        pids = [portal.begin_work(seconds=10) for _ in range(WORKERS)]
        assert [end_of(pid) for pid in pids] == [0] * WORKERS
        assert portal.work() == 0
        assert faults(portal.ledger) == []
        assert len(portal.provider.sent("submit")) == FORMS


def test_a_worker_that_slept_past_its_lease_still_brings_its_answer(workshop: Workshop) -> None:
    """Another one gave the job up meanwhile. The list does not show it yet, so only the answer has its id."""
    with workshop.portal() as portal:
        assert portal.start(new_form_key()) == 0
        portal.provider.late = 1000
        portal.proxy.fault = Fault("submit", "freeze")
        sleeper = portal.begin_work(rounds=1, seconds=30)
        os.waitpid(sleeper, os.WUNTRACED)
        assert portal.work(rounds=6) == 0
        assert Job.objects.get().state == "unconfirmed"
        os.kill(sleeper, signal.SIGCONT)
        assert end_of(sleeper) == 0
        assert Job.objects.get().request_id == portal.provider.jobs[0].id
        portal.provider.jobs[0].hidden = 0
        assert portal.work() == 0
        assert faults(portal.ledger) == []


@pytest.fixture
def at_fal(settings: Any, django_db_blocker: Any) -> Iterator[Portal]:
    with ready(FAL, settings, django_db_blocker) as made, made.portal() as portal:
        yield portal


def test_an_answer_that_comes_after_the_job_was_sent_again_has_its_row(at_fal: Portal) -> None:
    """No list and no history shows the first one: only the late answer has its id."""
    assert at_fal.start(new_form_key()) == 0
    at_fal.provider.history_hole = True
    at_fal.proxy.fault = Fault("submit", "freeze")
    sleeper = at_fal.begin_work(rounds=1, seconds=30)
    os.waitpid(sleeper, os.WUNTRACED)
    assert at_fal.work(rounds=25) == 0
    at_fal.decide(Job.objects.get(state="needs_decision"), "resend")
    assert at_fal.work() == 0
    os.kill(sleeper, signal.SIGCONT)
    assert end_of(sleeper) == 0
    assert at_fal.work() == 0
    assert {each.request_id for each in Job.objects.all()} == {paid.id for paid in at_fal.provider.jobs}
    assert [*faults(at_fal.ledger), *at_fal.target.problems(at_fal)] == []


def test_a_clean_stop_in_the_middle_of_an_upload(workshop: Workshop) -> None:
    """The storage takes the file and is silent. The worker still ends in time; the next one carries it."""
    with workshop.portal() as portal:
        portal.proxy.hang_seconds, portal.proxy.fault = 90 * PATIENCE, Fault("upload", "hang", "sending")
        worker = real_worker(portal)
        worker.start()
        try:
            until(lambda: portal.proxy.fault is None)
            began = time.monotonic()
            assert worker.stop() == 0
            assert time.monotonic() - began < STOP_SECONDS
        finally:
            worker.kill()
        assert not portal.provider.stored
        assert portal.start(new_form_key()) == 0
        assert portal.work() == 0
        assert faults(portal.ledger) == []
        assert len(portal.provider.stored) == 1


def real_worker(portal: Portal) -> Program:
    """The process that `manage.py up` starts, which has the proxy for its local engine."""
    port = portal.proxy.url.rpartition(":")[2]
    own = {"SECRET_KEY": settings.SECRET_KEY, "ENGINE_PORT": port, "ENGINE_API_KEY": KEY}
    environment = {**databases.variables_of(portal.folder), **own}
    return Program(("manage.py", "work"), environment, portal.folder / "worker.log")
