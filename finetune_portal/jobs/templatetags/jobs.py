"""How a job looks: the words of display.py, and an icon and a tone for its state."""

from __future__ import annotations

import json
from typing import Any

from django import template
from django.db.models import Count
from django.urls import reverse
from django.utils.safestring import SafeString

from finetune_portal.accounts.models import User
from finetune_portal.connections.trainers import title_of
from finetune_portal.datasets.preview_images import PreviewImage
from finetune_portal.jobs import access, display
from finetune_portal.jobs.choices import ENDED, State
from finetune_portal.jobs.models import Job, JobEvent, Preset
from finetune_portal.jobs.parameter_fields import field_name
from finetune_portal.jobs.parameter_text import as_words, labelled, value_text
from finetune_portal.jobs.sync import samples
from finetune_portal.jobs.table import rows

register = template.Library()
register.filter(display.status_text)
register.filter(display.percent)
register.filter(display.first_phase)
register.filter(display.page_title)
register.filter(display.time_left)
register.filter(display.trained_model)
register.filter(display.sweep_label)
register.filter(display.settings_line)
register.filter(as_words)
register.filter(labelled)
register.filter("trainer_title", title_of)

DEFAULT_LOOK = ("turn", "moving")
LOOKS = {
    State.APPROVAL: ("clock", "warn"),
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
def event_tone(event: JobEvent, job: Job) -> str:
    """Return the tone of an entry of the timeline that ended the job; nothing for any other entry."""
    if event.state not in ENDED:
        return ""
    return state_tone(job) if event.state == job.state else LOOKS[State(event.state)][1]


@register.simple_tag
def sample_preview(job: Job, step: int, edge: str) -> SafeString:
    """The attributes of an image of the sample after a step."""
    url = reverse("jobs:sample-preview", args=[job.pk, step, edge])
    return PreviewImage(url, samples.preview_path(job.pk, str(step), edge)).attributes


@register.filter
def parameter_inputs(preset: Preset) -> str:
    """Return the further parameters as JSON, each as its field of the form shows it."""
    return json.dumps({field_name(name): value_text(value) for name, value in preset.parameters.items()})


@register.simple_tag(takes_context=True)
def job_rows(context: dict[str, Any], jobs: list[Job]) -> SafeString:
    """Render the rows of these jobs with the actions the viewer may take."""
    return rows.render_rows(jobs, user=context["user"], token=str(context.get("csrf_token", "")))


@register.simple_tag(takes_context=True)
def job_cards(context: dict[str, Any], jobs: list[Job]) -> SafeString:
    """Render these jobs as cards of the grid, with the actions the viewer may take."""
    return rows.render_cards(jobs, user=context["user"], token=str(context.get("csrf_token", "")))


@register.simple_tag(takes_context=True)
def job_count(context: dict[str, Any], person: User) -> int:
    """Return how many of a person's jobs the viewer may see. One query for all people of a page."""
    request = context["request"]
    if not hasattr(request, "job_counts"):
        rows = access.visible(context["user"]).select_related(None).order_by().values_list("owner")
        request.job_counts = dict(rows.annotate(Count("pk")))
    return int(request.job_counts.get(person.pk, 0))
