"""One case: people start trainings, something goes wrong once, all is healed, and the truth is looked at.

A case kills the web or the worker process at a write to the database, or lets the proxy harm one exchange,
or both, while the provider itself is in one of its conditions.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from tests.faults.invariants import faults
from tests.faults.portal import Killer, Portal, Workshop, is_at_rest, new_form_key
from tests.faults.proxy import CUTS, POINTS, Fault
from tests.provider import breaks, says

CONDITIONS = ("fine", "lost", "never", "error", "busy", "late", "down", "tells")
STAGES = ("web", "worker", "digest")
ANSWERED = ("submit", "list", "details", "presigned_url", "upload")
BEYOND = ("extra", "progress", "cancel")  # the vendor's API; asked where the provider `tells`
LATE_LISTS = 3
WEB_WRITES = 6
KILLED, WHOLE = -signal.SIGKILL, 0


@dataclass(frozen=True)
class Case:
    """`at` and `after`: the write that the process of this stage is killed at; 0 kills none."""

    stage: str = "worker"
    condition: str = "fine"
    at: int = 0
    after: bool = False
    fault: Fault | None = None

    def __str__(self) -> str:
        kill = f"kill {'after' if self.after else 'before'} write {self.at}" if self.at else ""
        return ", ".join(str(part) for part in (self.stage, self.condition, kill, self.fault) if part)

    @property
    def row(self) -> str:
        return f"proxy: {self.fault.call}" if self.fault else f"kill -9: {self.stage}"

    @property
    def column(self) -> str:
        return self.fault.action if self.fault else self.condition

    def killer(self, stage: str) -> Killer | None:
        return Killer(self.at, self.after) if stage == self.stage and self.at else None


@dataclass(frozen=True)
class Result:
    """The faults that are left when all is healed and at rest. `happened`: it was killed or harmed at all."""

    faults: list[str]
    happened: bool


def run(workshop: Workshop, case: Case) -> Result:
    with workshop.portal() as portal:
        forms = [new_form_key(), new_form_key()]
        ends = [portal.start(*forms, killer=case.killer("web"))]
        if ends == [KILLED]:  # the person sends both forms again
            ends.append(portal.start(*forms))
        _upset(portal, case)
        ends.append(portal.work(case.killer("worker"), rounds=_rounds(case.condition)))
        if case.condition == "tells":
            portal.cancel(Job.objects.earliest("pk"))
        _knock(portal)
        if case.stage == "digest":
            ends.append(portal.work(case.killer("digest"), rounds=3))
        happened = (KILLED in ends or not case.at) and (portal.proxy.fault is None or not case.fault)
        _heal(portal)
        ends.append(portal.work())
        if _decide(portal):
            ends.append(portal.work())
        problems = [f"a process ended with {end}" for end in ends if end not in (WHOLE, KILLED)]
        problems += [] if is_at_rest() else ["it does not come to rest"]
        tried = Job.objects.filter(submit_attempts__isnull=False).values_list("form_key", flat=True)
        problems += [] if set(map(str, tried)) == set(forms) else ["lost: not each form is one job"]
        return Result(problems + faults(portal.provider), happened)


def writes(workshop: Workshop, stage: str, condition: str) -> int:
    """How many writes this stage makes, when nobody kills it."""
    with workshop.portal() as portal:
        assert portal.start(new_form_key(), new_form_key()) == WHOLE
        _upset(portal, Case(condition=condition))
        assert portal.work(rounds=_rounds(condition)) == WHOLE
        if stage == "digest":
            _knock(portal)
            assert portal.work(rounds=3) == WHOLE
        return portal.writes


def _rounds(condition: str) -> int:
    return 4 if condition == "down" else 1


def _upset(portal: Portal, case: Case) -> None:
    condition, fake = case.condition, portal.provider
    if condition in ("lost", "late"):
        fake.script("submit", breaks("close", taken=True))
    elif condition == "never":
        fake.script("submit", breaks("close", taken=False))
    elif condition == "error":
        fake.script("submit", says(500, b"<html>Sorry</html>", taken=True))
    elif condition == "busy":
        fake.script("submit", says(429, {"error": "slow down"}, Retry_After="2"))
    elif condition == "down":
        portal.proxy.down()
    elif condition == "tells":
        fake.can = ("progress", "cancel")
    if condition == "late":
        fake.late = LATE_LISTS
    portal.proxy.fault = case.fault


def _knock(portal: Portal) -> None:
    """Twice for each job, out of order, with a wrong state, and once for a stranger."""
    ids = [paid.id for paid in portal.provider.jobs]
    events = [{"finetune_id": each, "status": "FAILED"} for each in [*ids[::-1], "of-nobody", *ids]]
    portal.knock(*events)


def _heal(portal: Portal) -> None:
    portal.proxy.up()
    portal.proxy.fault = None
    portal.provider.unscript()


def _decide(portal: Portal) -> bool:
    """A person has looked at the provider's own console, and sends again what is not there."""
    doubtful = list(Job.objects.filter(state=State.NEEDS_DECISION))
    for job in doubtful:
        portal.decide(job, "resend")
    return bool(doubtful)


SAMPLE = (
    Case("web", at=1, fault=Fault("submit", "hang", "status")),
    Case("web", at=3, after=True, fault=Fault("submit", "reset", "sending")),
    Case("worker", "late", fault=Fault("submit", "kill", "taken")),
    Case(fault=Fault("list", "close", "taken")),
    Case(fault=Fault("presigned_url", "garbage")),
    Case(fault=Fault("upload", "flip-request", share=0.5)),
    Case("worker", "fine", at=9),
    Case("worker", "lost", at=12, after=True),
    Case("digest", "never", at=3, fault=Fault("details", "late")),
    Case("digest", "error", at=2, after=True, fault=Fault("details", "flip", share=0.5)),
    Case("worker", "busy", at=8),
    Case("digest", "late", at=4, after=True),
    Case("worker", "down", at=3, after=True),
    Case("digest", "tells", at=6, fault=Fault("details", "slow")),
)


def sample() -> Iterator[Case]:
    """Each stage, each condition of the provider and each harm of the proxy once."""
    yield from SAMPLE


def kills(workshop: Workshop) -> Iterator[Case]:
    """A kill before and after each write, in each condition of the provider."""
    counts = {("web", "fine"): WEB_WRITES} | {
        (stage, condition): writes(workshop, stage, condition)
        for stage in STAGES[1:]
        for condition in CONDITIONS
    }
    for (stage, condition), count in counts.items():
        for at in range(1, count + 1):
            yield from (Case(stage, condition, at, after) for after in (False, True))


def harms() -> Iterator[Case]:
    """Each harm to each exchange."""
    for call in ANSWERED:
        stage = "digest" if call == "details" else "worker"  # a hook has the details asked for
        yield from (Case(stage, fault=Fault(call, action, point)) for action in CUTS for point in POINTS)
        yield from (Case(stage, fault=Fault(call, action)) for action in ("late", "slow", "garbage"))
        yield from (Case(stage, fault=Fault(call, "flip", share=at / 12)) for at in range(13))
    yield from (Case(fault=Fault("upload", "flip-request", share=at / 6)) for at in range(7))
    for call, action in product(BEYOND, (*CUTS, "garbage")):
        yield Case("digest", "tells", fault=Fault(call, action, "taken"))
