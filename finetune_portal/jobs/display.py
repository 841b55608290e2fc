"""How a job reads on a page: its state in words, how far it is, and which model it trains."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from finetune_portal.jobs.choices import STAGE_OF_STATE, State
from finetune_portal.jobs.models import Job, Training

MAX_MODEL_NAME = 100


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
