"""Jobs side by side: the parameters that differ, the time in each stage, and the results.

The number of queries does not grow with the number of jobs.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from django.db.models import QuerySet

from finetune_portal.costs.models import Cost
from finetune_portal.jobs import costs
from finetune_portal.jobs.choices import STAGES
from finetune_portal.jobs.models import Job, Training
from finetune_portal.jobs.page.curves import Change, Curves
from finetune_portal.jobs.page.diagnosis import Diagnosis, diagnose
from finetune_portal.jobs.page.stages import progress_line
from finetune_portal.jobs.parameter_text import label_of, shown_value
from finetune_portal.jobs.shown import with_shown

PARAMETERS = (
    "learning_rate",
    "steps",
    "dataset_id",
    "instance_prompt",
    "machine_type",
    "trainer",
    "connection_id",
)


@dataclass
class Column:
    """One job of the comparison."""

    job: Job
    bills: list[Cost]

    @cached_property
    def took(self) -> dict[str, timedelta | None]:
        return {stage.label: stage.took for stage in progress_line(self.job, self.job.events.all())}

    @cached_property
    def diagnosis(self) -> Diagnosis | None:
        return diagnose(self.job, self.job.events.all())

    @property
    def has_old_cost(self) -> bool:
        """Whether only the job knows its cost: one that was started outside the portal has no row."""
        return not self.bills and self.job.cost is not None and not self.job.connection.is_free

    @property
    def training(self) -> Training | None:
        return self.job.training_or_none

    @property
    def sampled_step(self) -> int | None:
        """The last step with a sample of the held-out pair."""
        steps = self.training.sampled_steps if self.training else []
        return steps[-1] if steps else None

    @property
    def held_out(self) -> Change | None:
        return Curves(self.training).held_out if self.training else None


class Comparison:
    def __init__(self, jobs: QuerySet[Job]) -> None:
        rows = with_shown(jobs).select_related("owner", "dataset", "connection", "training")
        rows = rows.prefetch_related("events")
        ordered = sorted(
            rows.defer("dataset__verdict"),
            key=lambda job: (job.learning_rate or 0, job.steps or 0, job.pk),
        )
        bills = costs.bills_of(job.pk for job in ordered)
        self.columns = [Column(job, bills[job.pk]) for job in ordered]

    @property
    def jobs(self) -> list[Job]:
        return [column.job for column in self.columns]

    @property
    def stamp(self) -> str:
        """A version that changes with any of the jobs."""
        moments = [job.updated_at for job in self.jobs]
        moments += [column.training.updated_at for column in self.columns if column.training]
        return f"{len(moments)}-{max(moments).timestamp():.6f}" if moments else "none"

    @property
    def differing(self) -> set[str]:
        """The parameters whose values differ between the jobs."""
        return {name for name in PARAMETERS if len({getattr(job, name) for job in self.jobs}) > 1}

    @property
    def further(self) -> list[tuple[str, list[str], bool]]:
        """Each further parameter of a job: its label, the values (empty: the default), if they differ."""
        names = dict.fromkeys(name for job in self.jobs for name in job.parameters)
        rows = [
            (label_of(name), [shown_value(job.parameters.get(name, "")) for job in self.jobs])
            for name in names
        ]
        return [(label, texts, len(set(texts)) > 1) for label, texts in rows]

    @property
    def times(self) -> list[tuple[str, list[timedelta | None]]]:
        """The stages in which any of the jobs spent time, with the time of each job."""
        rows = [(label, [column.took.get(label) for column in self.columns]) for label, _ in STAGES]
        return [(label, times) for label, times in rows if any(times)]

    @property
    def has_samples(self) -> bool:
        return any(column.sampled_step is not None for column in self.columns)

    @property
    def has_held_out(self) -> bool:
        return any(column.held_out for column in self.columns)

    @property
    def has_diagnoses(self) -> bool:
        return any(column.diagnosis for column in self.columns)

    @property
    def has_costs(self) -> bool:
        return any(column.bills or column.has_old_cost for column in self.columns)
