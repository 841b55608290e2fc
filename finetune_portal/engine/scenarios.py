"""Failures on purpose: a word in a job's name chooses what happens to it.

It works like a test card of a payment sandbox. The page at `/` and docs/engine.md show this table.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from finetune_portal.engine import states


@dataclass(frozen=True)
class Scenario:
    word: str
    description: str
    path: tuple[str, ...] = states.USUAL
    slowdown: float = 1.0
    fails_in: str = ""
    makes_weights: bool = True
    refuses: int = 0  # an HTTP status
    times: int = 0  # how often it refuses before it accepts; 0 is for ever
    loses_response: bool = False


def _path_with(odd: str, *, after: str) -> tuple[str, ...]:
    at = states.USUAL.index(after) + 1
    return (*states.USUAL[:at], odd, *states.USUAL[at:])


PLAIN = Scenario("", "Trains, deploys and becomes available.")
TABLE = (
    Scenario("fail-data", "Fails while the dataset is processed.", fails_in=states.DATA_PROCESSING),
    Scenario("fail-training", "Fails while training.", fails_in=states.TRAINING_INITIATED),
    Scenario("slow", "Takes ten times as long in every state.", slowdown=10.0),
    Scenario(
        "never-deploys",
        "Ends in TRAINING_COMPLETED; the weights can be downloaded.",
        path=states.USUAL[: states.USUAL.index(states.TRAINING_COMPLETED) + 1],
    ),
    Scenario("no-weights", "Becomes available without a file to download.", makes_weights=False),
    Scenario(
        "odd-state",
        "Passes through CALIBRATING, a state that no page names.",
        path=_path_with("CALIBRATING", after=states.TRAINING_INITIATED),
    ),
    Scenario("refuse-credits", "Submit is refused with 406: not enough credits.", refuses=406),
    Scenario("refuse-closed", "Submit is refused with 410: closed to new trainings.", refuses=410),
    Scenario(
        "busy", "Submit is refused twice with 429 and Retry-After, then accepted.", refuses=429, times=2
    ),
    Scenario("lost-answer", "Submit accepts the job, then answers 500 with HTML.", loses_response=True),
)

_refused: Counter[str] = Counter()


def of(name: str) -> Scenario:
    """The scenario whose word the name contains, as a whole word. Spaces and underscores count as hyphens."""
    spelled = "-" + re.sub(r"[^a-z0-9]+", "-", name.lower()) + "-"
    return next((each for each in TABLE if f"-{each.word}-" in spelled), PLAIN)


def refuses_now(scenario: Scenario, name: str) -> bool:
    """Whether this submit is refused. It counts the submits of a name, so `busy` accepts the third one."""
    if not scenario.refuses:
        return False
    if not scenario.times:
        return True
    _refused[name] += 1
    if _refused[name] <= scenario.times:
        return True
    del _refused[name]
    return False
