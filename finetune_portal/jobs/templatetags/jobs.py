"""How a job's state looks: an icon and a tone beside the word, never colour alone."""

from __future__ import annotations

from django import template

from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job

register = template.Library()

MOVING = ("turn", "moving")
LOOKS = {
    State.WAITING: ("upload", "calm"),
    State.QUEUED: ("send", "calm"),
    State.SENDING: ("send", "moving"),
    State.UNCONFIRMED: ("question", "warn"),
    State.NEEDS_DECISION: ("question", "warn"),
    State.REFUSED: ("cross", "bad"),
    State.CLOSED: ("minus", "calm"),
    State.REQUESTED: ("clock", "moving"),
    State.TRAINED: ("check", "moving"),
    State.READY: ("check", "good"),
    State.FAILED: ("cross", "bad"),
}


@register.filter
def state_icon(job: Job) -> str:
    return LOOKS.get(State(job.state), MOVING)[0]


@register.filter
def state_tone(job: Job) -> str:
    """calm, moving, good, warn or bad: a colour of tokens.css."""
    return LOOKS.get(State(job.state), MOVING)[1]
