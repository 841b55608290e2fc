"""What went wrong with a job and what to do now, in plain words; the raw words are kept beside them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job, JobEvent

UNTIL = {
    State.QUEUED: "before it was sent",
    State.REQUESTED: "before it began",
    State.DATA: "while it read the dataset",
    State.TRAINED: "after it had trained",
    State.DEPLOYING: "while it put the model up",
}
AGAIN = "press “Train again with changes”"
# What the vendor's own words come down to; there are few of them (docs/provider-api.md, 9.2).
CAUSES = (
    (
        r"out of memory|overload|\boom\b",
        "Its GPU ran out of memory.",
        f"Take fewer or smaller pictures and {AGAIN}.",
    ),
    (
        r"looks? empty|subfolder",
        "It found no pictures in the dataset.",
        f"Put the pairs at the top of the ZIP, not into folders, upload it anew and {AGAIN}.",
    ),
    (
        r"download failed|failed to download|could not (be )?(download|fetch)",
        "It could not fetch the dataset.",
        f"See on the dataset’s page whether its file is in order, then {AGAIN}.",
    ),
    (
        r"\bnan\b|diverge|not finite",
        "The numbers of the model ran away.",
        f"Take a learning rate of half the size or less and {AGAIN}.",
    ),
    (
        r"internal|server error|no reason",
        "It does not say why.",
        f"It is the upstream’s own fault: {AGAIN} and change nothing. "
        "If that fails too, tell its support the upstream id on this page.",
    ),
)
CANCELLED = "What was trained until it was cancelled is lost, and the credits are not paid back."
BY_STATE = {
    State.UNCONFIRMED: "Nothing yet. The portal looks for it in the upstream’s list and will not send it "
    "again by itself, because it may already be paid. If it is not there after some 15 minutes, an admin is "
    "asked.",
    State.NEEDS_DECISION: "Look for it in the upstream’s own console. If it is there, wait: the portal will "
    "find it, too. If it is not, an admin sends it again, or closes it. Sent again, it may be paid twice.",
    State.REFUSED: f"Put right what is named above and {AGAIN}: the form comes filled in.",
}


@dataclass(frozen=True)
class Trouble:
    what: str
    now: str = ""
    detail: str = ""


def trouble(job: Job, events: Iterable[JobEvent]) -> Trouble | None:
    if not job.error:
        return None
    if job.is_cancelled:
        return Trouble(CANCELLED, f"To train it after all, {AGAIN}.")
    if job.state == State.FAILED:
        return _failure(job)
    details = [event.detail for event in events if event.detail and event.state == job.state]
    return Trouble(job.error, BY_STATE.get(State(job.state), ""), details[-1] if details else "")


def _failure(job: Job) -> Trouble:
    """The upstream's own words are told in ours where they are known, and else quoted."""
    until = UNTIL.get(State(job.reached), "while it trained")
    for pattern, cause, now in CAUSES:
        if re.search(pattern, job.error, re.IGNORECASE):
            return Trouble(f"The upstream gave up {until}. {cause}", now, job.error)
    what = f"The upstream gave up {until}. It says: {job.error}"
    return Trouble(what, f"Change what it names and {AGAIN}.")
