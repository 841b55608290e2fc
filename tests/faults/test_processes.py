"""Kill -9 of the real web, worker and engine while trainings start and run (S4, S7, D8, O2)."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from tests.faults.invariants import faults
from tests.faults.portal import Workshop, is_at_rest, new_form_key, pass_time
from tests.faults.processes import EngineBooks, Running, all_three
from tests.running import RunningEngine
from tests.waiting import until

NAMES = ("web", "worker", "engine")
LONGEST_LIFE = 0.6


@dataclass
class Installation:
    """All three, each to be killed and started again by its name."""

    portal: Running
    engine: RunningEngine

    def kill(self, name: str) -> None:
        if name == "engine":
            self.engine.kill()
        else:
            self.portal.kill(name)

    def restart(self, name: str) -> None:
        if name == "engine":
            self.engine.start()
        else:
            self.portal.restart(name)


@pytest.fixture
def running(workshop: Workshop) -> Iterator[Installation]:
    with all_three(workshop, workshop.root / "running") as made:
        yield Installation(*made)


def kill_and_restart(running: Installation, name: str, after: float, forms: list[str]) -> None:
    """Two trainings are started, the process dies, and the person sends again what got no answer."""
    dataset = Dataset.objects.get()
    new = [new_form_key(), new_form_key()]
    missing = [form for form in new if not running.portal.start_training(dataset, form)]
    time.sleep(after)  # the one thing that is left to chance
    running.kill(name)
    missing += [form for form in new if not running.portal.start_training(dataset, form)]
    running.restart(name)
    for form in missing:
        until(lambda form=form: running.portal.start_training(dataset, form))
    forms += new


def come_to_rest(running: Installation) -> None:
    """Time passes for the rows of the portal; a person decides what stays in doubt."""

    def rests() -> bool:
        pass_time(timedelta(seconds=61))
        for job in Job.objects.filter(state=State.NEEDS_DECISION):
            assert running.portal.post(
                "dana", f"/jobs/{job.pk}/decide/", {"decision": "resend", "confirmed": "on"}
            )
        return is_at_rest() and not Job.objects.filter(state=State.NEEDS_DECISION).exists()

    until(rests, seconds=120)


def go_through(running: Installation, kills: int) -> Counter[str]:
    chance, forms, done = random.Random(7), list[str](), Counter[str]()
    for number in range(kills):
        name = NAMES[number % len(NAMES)]
        kill_and_restart(running, name, chance.uniform(0, LONGEST_LIFE), forms)
        done[name] += 1
    come_to_rest(running)
    assert faults(EngineBooks(running.engine)) == []
    assert set(map(str, Job.objects.values_list("form_key", flat=True))) == set(forms)
    assert Job.objects.filter(state=State.READY).count() == len(forms)
    return done


@pytest.mark.long
def test_each_of_the_three_dies_once(running: Installation) -> None:
    go_through(running, 3)


@pytest.mark.slow
def test_the_three_die_again_and_again(running: Installation, say: Callable[[str], None]) -> None:
    began = time.monotonic()
    done = go_through(running, 60)
    counts = ", ".join(f"{name} {count}" for name, count in done.items())
    say(f"real processes killed: {counts}; in {time.monotonic() - began:.0f} s, 0 faults")
