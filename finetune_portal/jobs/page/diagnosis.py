"""What went wrong with a job and what to do about it, in plain words beside the provider's own. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job, JobEvent

WHEN = {
    State.QUEUED: "before the job was sent",
    State.REQUESTED: "before the training began",
    State.DATA: "while it read the dataset",
    State.TRAINED: "after the training",
    State.DEPLOYING: "while it deployed the model",
}
AGAIN = "select “Train again with changes”"
# Patterns in the provider's error messages, which are few (docs/provider-api.md, 9.2): cause, what to do.
CAUSES = (
    (
        r"out of memory|overload|\boom\b",
        "Its GPU ran out of memory.",
        f"Use fewer or smaller images and {AGAIN}.",
    ),
    (
        r"looks? empty|subfolder",
        "It found no images in the dataset.",
        f"Put the pairs at the top level of the ZIP instead of in folders, upload it again and {AGAIN}.",
    ),
    (
        r"download failed|failed to download|could not (be )?(download|fetch)",
        "It could not download the dataset.",
        f"Check the file on the dataset’s page, then {AGAIN}.",
    ),
    (
        r"\bnan\b|diverge|not finite",
        "The training diverged.",
        f"Halve the learning rate, or less, and {AGAIN}.",
    ),
    (
        r"internal|server error|no reason",
        "It gives no reason.",
        f"The error is the provider’s: {AGAIN} without changing anything. "
        "If that fails too, send the provider’s support the job id on this page.",
    ),
)
CANCELLED = "What was trained until then is lost{}."
NOT_REFUNDED = ", and the credits are not refunded"
# What stands in these sentences: of a job that is free, and of one that is not.
DOUBTS = {
    True: {"done": "the job may be there already", "risk": "be trained"},
    False: {"done": "the job may already be paid for", "risk": "be paid for"},
}
NEXT_STEP_BY_STATE = {
    State.UNCONFIRMED: "Nothing for now. The portal looks for the job at the provider. It will not "
    "send the job again by itself, because {done}. If the job does not appear "
    "within about 15 minutes, an admin decides.",
    State.NEEDS_DECISION: "Look for the job in the provider’s own console. If it is there, wait: the portal "
    "will find it too. If it is not, an admin sends it again or closes it. A job sent again may {risk} "
    "twice.",
    State.REFUSED: f"Fix what is named above and {AGAIN}: the form opens filled in.",
}


@dataclass(frozen=True)
class Diagnosis:
    what: str
    next_step: str = ""
    detail: str = ""


def diagnose(job: Job, events: Iterable[JobEvent]) -> Diagnosis | None:
    if not job.error:
        return None
    if job.is_cancelled:
        refund = NOT_REFUNDED if job.is_at_segmind and not job.connection.is_free else ""
        return Diagnosis(CANCELLED.format(refund), f"To train it after all, {AGAIN}.")
    if job.state == State.FAILED:
        return _diagnose_failure(job)
    details = [event.detail for event in events if event.detail and event.state == job.state]
    next_step = NEXT_STEP_BY_STATE.get(State(job.state), "").format(**DOUBTS[job.connection.is_free])
    return Diagnosis(job.error, next_step, details[-1] if details else "")


def _diagnose_failure(job: Job) -> Diagnosis:
    """Explain the provider's message where it is known, and quote it otherwise."""
    when = WHEN.get(State(job.reached), "during the training")
    for pattern, cause, next_step in CAUSES:
        if re.search(pattern, job.error, re.IGNORECASE):
            return Diagnosis(f"The provider stopped {when}. {cause}", next_step, job.error)
    what = f"The provider stopped {when}. It says: {job.error}"
    return Diagnosis(what, f"Change what it names and {AGAIN}.")
