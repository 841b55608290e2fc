"""Which numbers of a generation the models of jobs take, in which bounds, and which base models they have."""

from __future__ import annotations

from collections.abc import Iterable

from finetune_portal.connections import trainers
from finetune_portal.jobs.models import Job
from finetune_portal.playground import choices

Bounds = dict[str, tuple[float, float]]  # the least and most of strength, steps and guidance
SEGMINDS: Bounds = {
    "strength": (choices.LEAST_STRENGTH, choices.MOST_STRENGTH),
    "steps": (1, choices.MOST_STEPS),
    "guidance": (0, choices.MOST_GUIDANCE),
}


def taken_by(job: Job) -> Bounds:
    """The numbers that the model of a job takes; the model of another provider may have no steps."""
    if job.is_at_segmind:
        return SEGMINDS
    trainer = trainers.find(job.connection, job.trainer)
    return {each.name: (each.least, each.most) for each in trainer.generates} if trainer else {}


def bounds_of(jobs: Iterable[Job]) -> Bounds:
    """The numbers that any of these models takes, in bounds that suit each that does."""
    bounds: Bounds = {}
    for job in jobs:
        for name, (least, most) in taken_by(job).items():
            before = bounds.get(name, (least, most))
            bounds[name] = max(before[0], least), min(before[1], most)
    return bounds


def one_of_each_base(jobs: Iterable[Job]) -> list[Job]:
    """The first job of each base model."""
    first: dict[str, Job] = {}
    for job in jobs:
        first.setdefault(trainers.base_model_of(job.trainer), job)
    return list(first.values())
