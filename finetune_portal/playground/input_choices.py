"""The pictures that a form offers to try a model on: control images of the dataset, what people brought."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.urls import reverse

from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Job
from finetune_portal.playground import choices, inputs
from finetune_portal.playground.models import Generation, Input

OWN = 4  # of those that people brought


@dataclass(frozen=True)
class Choice:
    """One picture. `value` is what the form sends; `prompt` the caption of its pair."""

    value: str
    name: str
    small: str
    large: str
    prompt: str = ""
    dataset: Dataset | None = None
    number: int = 0
    brought: Input | None = None

    def as_input(self) -> Input:
        """Raises inputs.BadPicture."""
        if self.brought is not None:
            return self.brought
        if self.dataset is None:
            raise inputs.BadPicture(inputs.GONE)
        return inputs.of_pair(self.dataset, self.number)


def offered(jobs: Iterable[Job], *, keep: Input | None = None) -> list[Choice]:
    """What people brought to these jobs, newest first, then pairs of the first one's dataset.

    `keep` is offered in any case.
    """
    jobs = list(jobs)
    dataset = next((job.dataset for job in jobs if job.dataset), None)
    pairs = _pairs(dataset) if dataset and dataset.has_file else []
    return [*_brought(jobs, keep, {choice.number for choice in pairs}, dataset), *pairs]


def chosen(found: list[Choice], value: str) -> Choice | None:
    return next((choice for choice in found if choice.value == value), None)


def of_input(brought: Input) -> Choice:
    small, large = (reverse("playground:input", args=[brought.pk, edge]) for edge in ("small", "large"))
    return Choice(f"input-{brought.pk}", brought.name, small, large, brought=brought)


def value_of(brought: Input, found: list[Choice]) -> str:
    """Which of these it is: that of its pair, or its own."""
    same = (each.value for each in found if each.dataset and _is_pair(brought, each.dataset, {each.number}))
    return next(same, f"input-{brought.pk}")


def _pairs(dataset: Dataset) -> list[Choice]:
    return [
        Choice(
            value=f"pair-{number}",
            name=f"Pair {pair['index']}",
            small=reverse("datasets:picture", args=[dataset.pk, number, "start", "small"]),
            large=reverse("datasets:picture", args=[dataset.pk, number, "start", "large"]),
            prompt=pair["caption"],
            dataset=dataset,
            number=number,
        )
        for number, pair in enumerate(dataset.pairs[: choices.PAIRS])
    ]


def _brought(jobs: list[Job], keep: Input | None, pairs: set[int], dataset: Dataset | None) -> list[Choice]:
    recent = Generation.objects.filter(job__in=jobs).order_by("-pk").values_list("input", flat=True)[:50]
    order = list(dict.fromkeys([*([keep.pk] if keep else []), *recent]))
    known = Input.objects.in_bulk(order)
    found = [known[pk] for pk in order if pk in known]
    own = [each for each in found if not (dataset and _is_pair(each, dataset, pairs))]
    return [of_input(each) for each in own[:OWN]]


def _is_pair(brought: Input, dataset: Dataset, numbers: set[int]) -> bool:
    return brought.dataset_id == dataset.pk and brought.number in numbers
