"""Any order of starting, clicking twice, withdrawing, killing, cutting, healing and hooks: the truth holds.

Each example is a portal of its own. Whatever happened, it is healed and brought to rest at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from finetune_portal.jobs.choices import UNSENT, UNTRAINED, State
from finetune_portal.jobs.models import Job
from tests.faults.invariants import charges, choices, faults
from tests.faults.killer import Killer
from tests.faults.portal import Portal, Workshop, is_at_rest, new_form_key, pass_time
from tests.faults.proxy import Fault
from tests.provider import breaks, says

MOST_JOBS, LOOKS = 4, 3
ACTIONS = st.sampled_from(("reset", "close", "hang", "kill", "late", "garbage"))
POINTS = st.sampled_from(("sending", "taken", "status", "half"))
LOST = {
    "closed": breaks("close", taken=True),
    "500": says(500, b"<html>", taken=True),
    "half": says(200, b"{", taken=True),
}
ANSWERS = st.sampled_from(
    (
        *LOST.values(),
        breaks("reset", taken=False),
        says(503, b"", taken=False),
        says(429, {"error": "slow down"}, Retry_After="1"),
    )
)


class Machine(RuleBasedStateMachine):
    """People, a worker, a provider and a bad wire."""

    workshop: Workshop
    ways = 0

    def __init__(self) -> None:
        super().__init__()
        self.stack = ExitStack()
        self.portal: Portal = self.stack.enter_context(self.workshop.portal())
        self.portal.target.loosen(self.portal.provider)
        self.forms: list[str] = []
        self.withdrawn: set[int] = set()

    @initialize(answer=ANSWERS, rounds=st.integers(1, 3), late=st.integers(0, 30))
    def begin(self, answer: Any, rounds: int, late: int) -> None:
        """In each way is what matters most: a bad answer to a submit, and mostly no list that tells of it."""
        self.list_late(late)
        self.confirm(kill_at=0, after=False)
        self.send_in_vain(answer, rounds)

    @precondition(lambda self: len(self.forms) < MOST_JOBS)
    @rule(kill_at=st.integers(0, 5), after=st.booleans())
    def confirm(self, kill_at: int, after: bool) -> None:
        """The web process may die at it; then the person has no answer, and sends the same form later."""
        self.forms.append(new_form_key())
        self.portal.start(self.forms[-1], killer=Killer(kill_at, after))

    @precondition(lambda self: self.forms)
    @rule(data=st.data())
    def click_again(self, data: Any) -> None:
        self.portal.start(data.draw(st.sampled_from(self.forms)))

    @rule(kill_at=st.just(0) | st.integers(1, 30), after=st.booleans(), rounds=st.integers(1, 3))
    def work(self, kill_at: int, after: bool, rounds: int) -> None:
        self.portal.work(Killer(kill_at, after), rounds=rounds)

    @rule(minutes=st.sampled_from((1, 4, 20)))
    def wait(self, minutes: int) -> None:
        pass_time(timedelta(minutes=minutes))

    @rule(data=st.data(), action=ACTIONS, point=POINTS)
    def cut(self, data: Any, action: str, point: str) -> None:
        call = data.draw(st.sampled_from(self.portal.target.calls))
        self.portal.proxy.fault = Fault(call, action, point)

    @precondition(lambda self: Job.objects.filter(state__in=UNSENT).exists())
    @rule(answer=ANSWERS, rounds=st.integers(1, 3))
    def send_in_vain(self, answer: Any, rounds: int) -> None:
        """The worker meets a provider that answers the next submit so, and goes on."""
        self.portal.provider.script("submit", answer)
        self.portal.work(rounds=rounds)

    @rule(late=st.integers(0, 30))
    def list_late(self, late: int) -> None:
        self.portal.target.show_late(self.portal.provider, late)

    @rule()
    def go_down(self) -> None:
        self.portal.proxy.down()

    @rule()
    def heal(self) -> None:
        self.portal.proxy.up()
        self.portal.proxy.fault = None
        self.portal.target.heal(self.portal)

    @precondition(lambda self: self.portal.target.knocks)
    @rule(data=st.data(), status=st.sampled_from(("AVAILABLE", "FAILED", "REQUESTED")))
    def hook(self, data: Any, status: str) -> None:
        ids = ["of-nobody", *(paid.id for paid in self.portal.provider.jobs)]
        event = {"finetune_id": data.draw(st.sampled_from(ids)), "status": status}
        self.portal.knock(event, event)

    @precondition(lambda self: Job.objects.filter(state__in=UNSENT).exists())
    @rule()
    def withdraw(self) -> None:
        job = Job.objects.filter(state__in=UNSENT).earliest("pk")
        assert self.portal.post("alice", (f"/jobs/{job.pk}/withdraw/", {})) == 0
        if not choices(job):
            self.withdrawn.add(job.pk)

    @precondition(lambda self: Job.objects.filter(state__in=UNTRAINED).exists())
    @rule()
    def cancel(self) -> None:
        self.portal.cancel(Job.objects.filter(state__in=UNTRAINED).earliest("pk"))

    @precondition(lambda self: Job.objects.filter(state=State.NEEDS_DECISION).exists())
    @rule(decision=st.sampled_from(("resend", "close")))
    def decide(self, decision: str) -> None:
        self.portal.decide(Job.objects.filter(state=State.NEEDS_DECISION).earliest("pk"), decision)

    @invariant()
    def nothing_is_paid_twice(self) -> None:
        paid = self.portal.ledger.jobs
        for job in Job.objects.exclude(owner=None).prefetch_related("events"):
            assert charges(job, paid) <= 1 + choices(job)

    def list_all(self) -> None:
        """At last whatever was paid is shown, and the worker reads it, though all was at rest before."""
        for _ in range(LOOKS):  # an account whose calls are limited may be asked for one job each time
            self.portal.target.show_all(self.portal.provider)
            pass_time(timedelta(minutes=20))
            assert self.portal.work() == 0
            known = set(Job.objects.values_list("request_id", flat=True))
            if known.issuperset(paid.id for paid in self.portal.provider.jobs):
                break

    def teardown(self) -> None:
        with self.stack:
            self.heal()
            assert self.portal.work() == 0
            self.list_all()
            assert is_at_rest()
            assert [*faults(self.portal.ledger), *self.portal.target.problems(self.portal)] == []
            paid = self.portal.ledger.jobs
            for job in Job.objects.filter(pk__in=self.withdrawn, submit_attempts=None):
                assert charges(job, paid) == 0
        Machine.ways += 1


@pytest.mark.parametrize("answer", LOST.values(), ids=LOST)
def test_a_lost_answer_is_followed_by_no_second_submit(each_workshop: Workshop, answer: Any) -> None:
    """S4: the one way that has to be gone each time, whatever chance picks below."""
    Machine.workshop = each_workshop
    way = Machine()
    with way.stack:
        way.confirm(kill_at=0, after=False)
        way.list_late(late=2)
        way.send_in_vain(answer, rounds=3)
        way.wait(minutes=20)
        way.work(kill_at=0, after=False, rounds=3)
        way.nothing_is_paid_twice()
        way.teardown()
    assert len(way.portal.provider.sent("submit")) == 1


def go(workshop: Workshop, examples: int, *, always_the_same: bool = False) -> int:
    """How many ways it went to their end."""
    Machine.workshop, Machine.ways = workshop, 0
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=12,
            deadline=None,
            derandomize=always_the_same,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
    return Machine.ways


@pytest.mark.long
def test_two_ways_through_it(each_workshop: Workshop) -> None:
    assert go(each_workshop, 2, always_the_same=True) >= 2


@pytest.mark.slow
def test_many_ways_through_it(each_workshop: Workshop, say: Callable[[str], None]) -> None:
    ways = go(each_workshop, each_workshop.target.ways)
    say(f"{each_workshop.target}: {ways} ways through the state machine, 0 faults")
    assert ways >= each_workshop.target.ways
