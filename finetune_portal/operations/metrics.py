"""What /metrics tells, as Prometheus reads it: counts and ages from the rows, nothing of what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.db.models import Count, Max, TextChoices
from django.utils.timezone import now

from finetune_portal import __version__
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset, Transfer
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Attempt, Job
from finetune_portal.notifications.models import Notification
from finetune_portal.webhooks.models import Delivery
from finetune_portal.worker.models import Heartbeat

Labels = dict[str, str]


@dataclass
class Metric:
    """`values`: a value for each set of labels. One that is not known is left out."""

    name: str
    help: str
    values: list[tuple[Labels, float]] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        yield f"# HELP portal_{self.name} {self.help}"
        yield f"# TYPE portal_{self.name} gauge"
        for labels, value in self.values:
            told = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels.items())
            yield f"portal_{self.name}{{{told}}} {value:g}" if told else f"portal_{self.name} {value:g}"


def text() -> str:
    return "\n".join(line for metric in _metrics() for line in metric.lines()) + "\n"


def _metrics() -> Iterator[Metric]:
    yield Metric("info", "The version that answers.", [({"version": __version__}, 1)])
    yield _counted("jobs", "Trainings by state.", Job, "state", State)
    yield _counted(
        "submits", "Tries to send a training, by what came of them.", Attempt, "outcome", Attempt.Outcome
    )
    yield _counted("datasets", "Datasets by state.", Dataset, "state", Dataset.State)
    waiting = Transfer.objects.filter(finished_at=None).count()
    yield Metric("carries_waiting", "Datasets that are still on their way to the upstream.", [({}, waiting)])
    waiting = Delivery.objects.filter(processed_at=None).count()
    yield Metric("webhooks_waiting", "Deliveries that were not looked up yet.", [({}, waiting)])
    waiting = Notification.objects.filter(finished_at=None).count()
    yield Metric("notices_waiting", "News for people that were not delivered yet.", [({}, waiting)])
    beats = Heartbeat.objects.values("lane").annotate(last=Max("at")).order_by("lane")
    ages = [({"lane": beat["lane"]}, _age(beat["last"])) for beat in beats]
    yield Metric("worker_age_seconds", "How long ago each lane of the worker went round.", ages)
    yield from _of_connections(list(Connection.objects.in_use()))


def _of_connections(connections: list[Connection]) -> Iterator[Metric]:
    def each(value: str) -> list[tuple[Labels, float]]:
        found = [({"connection": one.name}, getattr(one, value)) for one in connections]
        return [(labels, float(told)) for labels, told in found if told is not None]

    up = [({"connection": one.name}, float(one.failing_since is None)) for one in connections]
    yield Metric("upstream_up", "1 while the upstream answers as it should.", up)
    ages = [({"connection": one.name}, _age(one.last_answer_at)) for one in connections if one.last_answer_at]
    yield Metric("upstream_age_seconds", "How old the states are that the pages show.", ages)
    yield Metric(
        "upstream_closed", "1 while the upstream takes no new trainings.", each("is_training_closed")
    )
    yield Metric("key_refused", "1 while the upstream does not accept the API key.", each("is_key_rejected"))
    yield Metric("credits", "What the account holds, if it tells.", each("credits"))
    yield Metric(
        "calls_left", "Calls of the account until its limit is reset, if it tells.", each("calls_left")
    )


def _counted(
    name: str, told: str, model: type[Job | Attempt | Dataset], column: str, states: type[TextChoices]
) -> Metric:
    """Each state has its line, also those that nothing is in, so that a query finds them."""
    found = dict(model._default_manager.order_by().values_list(column).annotate(Count("pk")))
    return Metric(name, told, [({column: state}, found.get(state, 0)) for state in states.values])


def _age(moment: datetime) -> float:
    return round((now() - moment).total_seconds(), 1)


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
