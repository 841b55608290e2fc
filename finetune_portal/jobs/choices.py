"""States of a job and the values its form accepts: GPU, built-in presets, bounds. No behaviour.

The provider documents no range for steps or learning rate (docs/provider-api.md, 11.1). The bounds here are
those of comparable services and only catch typing errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db.models import TextChoices

MAX_SWEEP = 6  # values of one parameter in a sweep
MAX_SWEEP_JOBS = MAX_SWEEP**2  # as many as two such parameters make
MIN_STEPS, MAX_STEPS = 1, 20_000
MIN_RATE, MAX_RATE = 1e-7, 0.01


class State(TextChoices):
    """Where a job is. Up to CLOSED the portal sets the state, from REQUESTED on the provider reports it."""

    APPROVAL = "approval", "Waiting for approval"
    WAITING = "waiting", "Waiting for its dataset"
    QUEUED = "queued", "About to be sent"
    SENDING = "sending", "Sending"
    UNCONFIRMED = "unconfirmed", "Unconfirmed"
    NEEDS_DECISION = "needs_decision", "Needs your decision"
    REFUSED = "refused", "Refused"
    CLOSED = "closed", "Closed"
    REQUESTED = "requested", "In the queue"
    DATA = "data", "Reading the dataset"
    TRAINING = "training", "Training"
    RUNNING = "running", "Running"
    TRAINED = "trained", "Trained"
    DEPLOYING = "deploying", "Deploying"
    READY = "ready", "Ready"
    FAILED = "failed", "Failed"


UNSENT = (State.APPROVAL, State.WAITING, State.QUEUED)
DOUBTFUL = (State.SENDING, State.UNCONFIRMED, State.NEEDS_DECISION)
FOLLOWED = (
    State.REQUESTED,
    State.DATA,
    State.TRAINING,
    State.RUNNING,
    State.TRAINED,
    State.DEPLOYING,
)
UNTRAINED = (State.REQUESTED, State.DATA, State.TRAINING, State.RUNNING)
ENDED = (State.READY, State.FAILED, State.REFUSED, State.CLOSED)
ACTIVE = (*UNSENT, *DOUBTFUL, *FOLLOWED)
GROUPS = {
    "active": ("Active", ACTIVE),
    "ready": ("Ready", (State.READY,)),
    "failed": ("Failed or closed", (State.FAILED, State.REFUSED, State.CLOSED)),
}
DOWNLOADABLE = (State.TRAINED, State.DEPLOYING, State.READY)

# The stages of the progress line, each with the states that it covers. Not every provider has all of them.
STAGES = (
    ("Dataset", (State.WAITING,)),
    (
        "Sending",
        (
            *(State.APPROVAL, State.QUEUED, State.SENDING),
            *(State.UNCONFIRMED, State.NEEDS_DECISION, State.REFUSED),
        ),
    ),
    ("Queue", (State.REQUESTED,)),
    ("Data", (State.DATA,)),
    ("Training", (State.TRAINING, State.RUNNING, State.TRAINED)),
    ("Deploying", (State.DEPLOYING,)),
    ("Ready", (State.READY,)),
)

STAGE_OF_STATE = {state: number for number, (_, states) in enumerate(STAGES) for state in states}

# The state for each result of the client's `phase()`, which reads the provider's status.
STATE_OF_PHASE = {
    "requested": State.REQUESTED,
    "data": State.DATA,
    "training": State.TRAINING,
    "trained": State.TRAINED,
    "deploying": State.DEPLOYING,
    "available": State.READY,
    "failed": State.FAILED,
    "unknown": State.RUNNING,
}


class Machine(TextChoices):
    H100 = "NVIDIA_H100", "NVIDIA H100"


@dataclass(frozen=True)
class BuiltInPreset:
    """A named learning rate and number of steps that every installation offers."""

    key: str
    name: str
    learning_rate: float
    steps: int
    note: str

    @property
    def parameters(self) -> dict[str, Any]:
        """Further ones, which a preset of the team may have."""
        return {}


# Values of Segmind's sample, of what fal and Replicate start from, and of ai-toolkit's Kontext example.
BUILT_IN_PRESETS = (
    BuiltInPreset("quick", "Quick look", 4e-4, 300, "To see whether it learns the edit"),
    BuiltInPreset("balanced", "Balanced", 1e-4, 1000, "For a first result to work with"),
    BuiltInPreset("thorough", "Thorough", 1e-4, 3000, "When the edit is still too weak"),
)
