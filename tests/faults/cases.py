"""Run one case: people start trainings, something goes wrong once, all is healed, and the truth is looked at.

A case kills the web or the worker process at a write to the database, or lets the proxy harm one exchange,
or both, while the provider itself is in one of its conditions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from tests.faults.invariants import faults
from tests.faults.killer import KILLED
from tests.faults.portal import Portal, Workshop, is_at_rest, new_form_key
from tests.faults.targets import WHOLE, Case


@dataclass(frozen=True)
class Result:
    """The faults that are left when all is healed and at rest. `happened`: it was killed or harmed at all."""

    faults: list[str]
    happened: bool


def run(workshop: Workshop, case: Case) -> Result:
    target = workshop.target
    with workshop.portal() as portal:
        forms = [new_form_key(), new_form_key()]
        target.prepare(portal, case.condition)
        ends = [portal.start(*forms, killer=case.killer("web"))]
        if ends == [KILLED]:  # the person sends both forms again
            ends.append(portal.start(*forms))
        _upset(portal, case)
        ends.append(portal.work(case.killer("worker"), rounds=target.rounds(case.condition)))
        ends += target.go_on(portal, case)
        happened = (KILLED in ends or not case.at) and (portal.proxy.fault is None or not case.fault)
        _heal(portal)
        ends.append(portal.work())
        if _decide(portal, target.decision(case.condition)):
            ends.append(portal.work())
        ends += target.settle(portal, case.condition)
        problems = [f"a process ended with {end}" for end in ends if end not in (WHOLE, KILLED)]
        problems += [] if is_at_rest() else ["it does not come to rest"]
        tried = Job.objects.filter(submit_attempts__isnull=False).values_list("form_key", flat=True)
        problems += [] if set(map(str, tried)) == set(forms) else ["lost: not each form is one job"]
        return Result([*problems, *faults(portal.ledger), *target.problems(portal)], happened)


def writes(workshop: Workshop, stage: str, condition: str) -> int:
    """How many writes this stage makes, when nobody kills it."""
    case = Case(stage, condition)
    with workshop.portal() as portal:
        workshop.target.prepare(portal, condition)
        assert portal.start(new_form_key(), new_form_key()) == WHOLE
        _upset(portal, case)
        assert portal.work(rounds=workshop.target.rounds(condition)) == WHOLE
        if stage != "worker":
            assert set(workshop.target.go_on(portal, case)) == {WHOLE}
        return portal.writes


def kills(workshop: Workshop) -> Iterator[Case]:
    """A kill before and after each write; where not at each one, before and after in turn."""
    target = workshop.target
    for at, after in product(range(1, target.web_writes + 1), (False, True)):
        yield Case("web", "fine", at, after)
    for number, ((stage, condition), stride) in enumerate(target.kills.items()):
        places = range(1 + number % stride, writes(workshop, stage, condition) + 1, stride)
        for turn, at in enumerate(places):
            sides = (False, True) if stride == 1 else (bool(turn % 2),)
            yield from (Case(stage, condition, at, after) for after in sides)


def _upset(portal: Portal, case: Case) -> None:
    portal.target.upset(portal, case.condition)
    portal.proxy.fault = case.fault


def _heal(portal: Portal) -> None:
    portal.proxy.up()
    portal.proxy.fault = None
    portal.target.heal(portal)


def _decide(portal: Portal, decision: str) -> bool:
    """A person has looked at the provider's own console, and settles what is not there."""
    doubtful = list(Job.objects.filter(state=State.NEEDS_DECISION))
    for job in doubtful:
        portal.decide(job, decision)
    return bool(doubtful)
