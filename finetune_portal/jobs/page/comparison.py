"""Trainings side by side: what differs in them, how long each station took, and what came of it.

Takes as many queries for two jobs as for fifty.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from django.db.models import QuerySet

from finetune_portal.jobs.choices import STATIONS
from finetune_portal.jobs.models import Job, Training
from finetune_portal.jobs.page.curves import Change, Curves
from finetune_portal.jobs.page.diagnosis import Trouble, trouble
from finetune_portal.jobs.page.stages import line

PARAMETERS = ("learning_rate", "steps", "dataset_id", "instance_prompt", "machine_type", "connection_id")


@dataclass
class Column:
    """One training."""

    job: Job

    @cached_property
    def took(self) -> dict[str, timedelta | None]:
        return {station.label: station.took for station in line(self.job, self.job.events.all())}

    @cached_property
    def trouble(self) -> Trouble | None:
        return trouble(self.job, self.job.events.all())

    @property
    def training(self) -> Training | None:
        return getattr(self.job, "training", None)

    @property
    def drawn(self) -> int | None:
        """The last step after which the model drew the held-out picture."""
        return self.training.drawn[-1] if self.training and self.training.drawn else None

    @property
    def held_out(self) -> Change | None:
        return Curves(self.training).held_out if self.training else None


class Comparison:
    def __init__(self, jobs: QuerySet[Job]) -> None:
        rows = jobs.select_related("owner", "dataset", "connection", "training").prefetch_related("events")
        found = sorted(
            rows.defer("dataset__verdict"),
            key=lambda job: (job.learning_rate or 0, job.steps or 0, job.pk),
        )
        self.columns = [Column(job) for job in found]

    @property
    def jobs(self) -> list[Job]:
        return [column.job for column in self.columns]

    @property
    def stamp(self) -> str:
        """Another one after any of them changed."""
        moments = [job.updated_at for job in self.jobs]
        moments += [column.training.updated_at for column in self.columns if column.training]
        return f"{len(moments)}-{max(moments).timestamp():.6f}" if moments else "none"

    @property
    def differing(self) -> set[str]:
        """The parameters that are not the same in all."""
        return {name for name in PARAMETERS if len({getattr(job, name) for job in self.jobs}) > 1}

    @property
    def times(self) -> list[tuple[str, list[timedelta | None]]]:
        """The stations at which any of them was seen for a while."""
        rows = [(label, [column.took[label] for column in self.columns]) for label, _ in STATIONS]
        return [(label, times) for label, times in rows if any(times)]

    @property
    def has_pictures(self) -> bool:
        return any(column.drawn is not None for column in self.columns)

    @property
    def has_held_out(self) -> bool:
        return any(column.held_out for column in self.columns)

    @property
    def has_trouble(self) -> bool:
        return any(column.trouble for column in self.columns)

    @property
    def has_costs(self) -> bool:
        return any(job.cost is not None for job in self.jobs)
