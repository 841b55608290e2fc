"""How a job reads on a page: its state in words, how far it is, and which model it trains."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.utils.text import Truncator

from finetune_portal.connections.trainers import title_of
from finetune_portal.jobs.choices import STAGE_OF_STATE, State
from finetune_portal.jobs.models import Job, Training
from finetune_portal.jobs.parameter_text import as_words, label_of, shown_value, value_text

MAX_MODEL_NAME = 100
MAX_FURTHER = 80  # characters of the further parameters in a row of the table


def status_text(job: Job) -> str:
    """Return the state in words; a state that the portal does not know reads as the provider names it."""
    if job.is_cancelled:
        return "Cancelled"
    if job.is_cancelling:
        return "Cancelling…"
    if job.state == State.RUNNING and job.provider_status:
        return job.provider_status.replace("_", " ").capitalize()
    return State(job.state).label


def stage_number(job: Job) -> int:
    """Return the index in STAGES of the stage the job is in, or was in when it ended."""
    return STAGE_OF_STATE.get(State(job.reached), 0)


def percent(job: Job) -> int | None:
    """Return how much is trained, rounded down; None while that is not known, and before the first step."""
    training = _running(job)
    if training is None or training.percent is None or first_phase(job):
        return None
    return int(training.percent)


def first_phase(job: Job) -> str:
    """Return what the training does before its first step; empty afterwards, and while the job queues."""
    training = _running(job)
    return "" if training is None or training.step else training.phase


def _running(job: Job) -> Training | None:
    training = job.training_or_none if job.state in (State.TRAINING, State.RUNNING) else None
    return None if training is None or training.jobs_ahead else training


def page_title(job: Job) -> str:
    """What the tab of the job's page says: how far the job is, then its name."""
    done = percent(job)
    return f"{status_text(job)} · {job.name}" if done is None else f"{done} % · {job.name}"


def time_left(training: Training | None) -> timedelta | None:
    """Round the time to the last step: to 5 seconds, from 10 minutes on to a minute."""
    if training is None or training.seconds_left is None:
        return None
    grain = 5 if training.seconds_left < 600 else 60
    return timedelta(seconds=max(grain, round(training.seconds_left / grain) * grain))


def sweep_label(job: Job) -> str:
    """What tells a job of a sweep from its others, as `0.0001 · 300 steps · rank 32`; empty for any other."""
    return " · ".join(_texts(job, job.sweep_axes))


def settings_line(job: Job) -> str:
    """The trainer, steps, learning rate and further parameters, without what `sweep_label` says."""
    trainer = [title_of(job.trainer)] if job.trainer else []
    names = [name for name in ("steps", "learning_rate") if getattr(job, name) is not None]
    further = {name: value for name, value in job.parameters.items() if name not in job.sweep_axes}
    texts = _texts(job, [name for name in names if name not in job.sweep_axes])
    return " · ".join(
        [*trainer, *texts, *([Truncator(as_words(further)).chars(MAX_FURTHER)] if further else [])]
    )


def axis_line(jobs: Sequence[Job]) -> str:
    """What varies in the jobs of a sweep, as `learning rate 0.0001, 0.0002 · 300, 600 steps`."""
    return " · ".join(_axis(name, [_value(job, name) for job in jobs]) for name in jobs[0].sweep_axes)


def _texts(job: Job, names: Sequence[str]) -> list[str]:
    values = {name: value for name in names if (value := _value(job, name)) is not None}
    return [_text(name, value) for name, value in values.items()]


def _text(name: str, value: Any) -> str:
    if name == "steps":
        return f"{value:,} steps"
    return value_text(value) if name == "learning_rate" else as_words({name: value})


def _axis(name: str, values: list[Any]) -> str:
    """Without commas in the numbers, which are between the values."""
    texts = ", ".join(dict.fromkeys(shown_value(value).replace(",", "") for value in values))
    return f"{texts} steps" if name == "steps" else f"{label_of(name).lower()} {texts}"


def _value(job: Job, name: str) -> Any:
    return getattr(job, name) if name in ("learning_rate", "steps") else job.parameters.get(name)


def is_tiny_model(job: Job) -> bool:
    return _model_information(job).get("tiny_model") is True


def trained_model(job: Job) -> str:
    """Name the base model where the provider tells it, and say when nothing is learnt."""
    if job.is_simulated:
        return "The local engine only simulates this training."
    if is_tiny_model(job):
        return "Base model: the tiny test model, too small to make useful pictures."
    name = _model_information(job).get("base_model")
    return f"Base model: {name[:MAX_MODEL_NAME]}" if name and isinstance(name, str) else ""


def _model_information(job: Job) -> dict[str, Any]:
    information = job.provider_data.get("model_information")
    return information if isinstance(information, dict) else {}
