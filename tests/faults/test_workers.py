"""More than one worker: each training is sent once, and one that slept too long does no harm (S2, S7)."""

from __future__ import annotations

import os
import signal

from finetune_portal.jobs.models import Job
from tests.faults.portal import Workshop, end_of, new_form_key
from tests.faults.proxy import Fault
from tests.faults.truth import faults

WORKERS, FORMS = 4, 24


def test_four_workers_send_each_training_once(workshop: Workshop) -> None:
    with workshop.portal() as portal:
        assert portal.start(*(new_form_key() for _ in range(FORMS))) == 0
        pids = [portal.begin_work(seconds=10) for _ in range(WORKERS)]
        assert [end_of(pid) for pid in pids] == [0] * WORKERS
        assert portal.work() == 0
        assert faults(portal.upstream) == []
        assert len(portal.upstream.sent("submit")) == FORMS


def test_a_worker_that_slept_past_its_lease_still_brings_its_answer(workshop: Workshop) -> None:
    """Another one gave the job up meanwhile. The list does not show it yet, so only the answer has its id."""
    with workshop.portal() as portal:
        assert portal.start(new_form_key()) == 0
        portal.upstream.late = 1000
        portal.proxy.fault = Fault("submit", "freeze")
        sleeper = portal.begin_work(rounds=1, seconds=30)
        os.waitpid(sleeper, os.WUNTRACED)
        assert portal.work(rounds=6) == 0
        assert Job.objects.get().state == "unconfirmed"
        os.kill(sleeper, signal.SIGCONT)
        assert end_of(sleeper) == 0
        assert Job.objects.get().request_id == portal.upstream.jobs[0].id
        portal.upstream.jobs[0].hidden = 0
        assert portal.work() == 0
        assert faults(portal.upstream) == []
