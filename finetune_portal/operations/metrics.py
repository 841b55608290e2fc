"""Metrics in the format of Prometheus: counts and ages of rows, never their content.

Names and labels of metrics stay, because dashboards use them; so some keep a word of version 0.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count, Sum, TextChoices
from django.utils.timezone import now

from finetune_portal import __version__
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset, Transfer
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Attempt, Job
from finetune_portal.notifications.models import Notification
from finetune_portal.registry.models import ModelFile
from finetune_portal.webhooks.models import Delivery
from finetune_portal.worker.models import Heartbeat

Labels = dict[str, str]
Counted = type[Job | Attempt | Dataset | ModelFile]


@dataclass
class Metric:
    """A gauge with a value for each set of labels. Unknown values are left out."""

    name: str
    help: str
    values: list[tuple[Labels, float]] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        yield f"# HELP portal_{self.name} {self.help}"
        yield f"# TYPE portal_{self.name} gauge"
        for labels, value in self.values:
            pairs = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
            yield f"portal_{self.name}{{{pairs}}} {value:g}" if pairs else f"portal_{self.name} {value:g}"


def text() -> str:
    return "\n".join(line for metric in _metrics() for line in metric.lines()) + "\n"


def _metrics() -> Iterator[Metric]:
    yield Metric("info", "The version that runs.", [({"version": __version__}, 1)])
    yield _counted("jobs", "Jobs by state.", Job, "state", State)
    yield _counted("submits", "Attempts to submit a job, by outcome.", Attempt, "outcome", Attempt.Outcome)
    yield _counted("datasets", "Datasets by state.", Dataset, "state", Dataset.State)
    yield _counted("model_files", "Copies of model files by state.", ModelFile, "state", ModelFile.State)
    stored = ModelFile.objects.filter(state=ModelFile.State.STORED).aggregate(bytes=Sum("size"))["bytes"]
    yield Metric("model_bytes", "Bytes of the stored copies of model files.", [({}, stored or 0)])
    waiting = Transfer.objects.filter(finished_at=None).count()
    yield Metric("carries_waiting", "Datasets that are not yet at the provider.", [({}, waiting)])
    waiting = Delivery.objects.filter(processed_at=None).count()
    yield Metric("webhooks_waiting", "Webhook deliveries that are not processed yet.", [({}, waiting)])
    waiting = Notification.objects.filter(finished_at=None).count()
    yield Metric("notices_waiting", "Notifications that are not delivered yet.", [({}, waiting)])
    beats = Heartbeat.objects.order_by("task").values_list("task", "beat_at")
    ages = [({"lane": task}, _age(beat_at)) for task, beat_at in beats]
    yield Metric("worker_age_seconds", "How long ago each task of the worker went round.", ages)
    yield from _of_connections(list(Connection.objects.in_use()))


def _of_connections(connections: list[Connection]) -> Iterator[Metric]:
    def each(value: str) -> list[tuple[Labels, float]]:
        pairs = [({"connection": one.name}, getattr(one, value)) for one in connections]
        return [(labels, float(number)) for labels, number in pairs if number is not None]

    up = [({"connection": one.name}, float(one.failing_since is None)) for one in connections]
    yield Metric("upstream_up", "1 while the provider answers as it should.", up)
    ages = [({"connection": one.name}, _age(one.last_answer_at)) for one in connections if one.last_answer_at]
    yield Metric("upstream_age_seconds", "How old the states are that the pages show.", ages)
    yield Metric("upstream_closed", "1 while the provider accepts no new jobs.", each("is_training_closed"))
    yield Metric("key_refused", "1 while the provider rejects the API key.", each("is_key_rejected"))
    yield Metric("credits", "Credits of the account, where the provider tells.", each("credits"))
    yield Metric(
        "calls_left",
        "Calls that are left until the rate limit resets, where the provider tells.",
        each("calls_left"),
    )


def _counted(
    name: str,
    help_text: str,
    model: Counted,
    column: str,
    states: type[TextChoices],
) -> Metric:
    """Count rows by state. Empty states have a line, too, so that a query finds them."""
    counts = dict(model._default_manager.order_by().values_list(column).annotate(Count("pk")))
    return Metric(name, help_text, [({column: state}, counts.get(state, 0)) for state in states.values])


def _age(moment: datetime) -> float:
    return round((now() - moment).total_seconds(), 1)


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
