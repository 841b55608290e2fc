"""How a job looks: the words of display.py, and an icon and a tone for its state."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.safestring import SafeString

from finetune_portal.jobs import display
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.parameter_field import as_text
from finetune_portal.jobs.table import rows

register = template.Library()
register.filter(display.status_text)
register.filter(display.percent)
register.filter(display.time_left)
register.filter(display.trained_model)

DEFAULT_LOOK = ("turn", "moving")
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


def _look(job: Job) -> tuple[str, str]:
    return LOOKS[State.CLOSED] if job.is_cancelled else LOOKS.get(State(job.state), DEFAULT_LOOK)


@register.filter
def state_icon(job: Job) -> str:
    return _look(job)[0]


@register.filter
def state_tone(job: Job) -> str:
    """Return calm, moving, good, warn or bad: a colour of tokens.css."""
    return _look(job)[1]


@register.filter
def further_parameters(job: Job) -> str:
    return as_text(job.parameters)


@register.simple_tag(takes_context=True)
def job_rows(context: dict[str, Any], jobs: list[Job]) -> SafeString:
    """Render the rows of these jobs with the actions the viewer may take."""
    return rows.render_rows(jobs, user=context["user"], token=str(context.get("csrf_token", "")))
