"""The pictures that the form offers: input images of the dataset, and pictures that people uploaded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.urls import reverse

from finetune_portal.accounts.models import User
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.preview_images import PreviewImage, preview_of_pair
from finetune_portal.jobs.models import Job
from finetune_portal.playground import choices, inputs, results
from finetune_portal.playground.models import Generation, Input

MOST_UPLOADED = 4


@dataclass(frozen=True)
class Choice:
    """One picture. `value` is the value of its radio button, `prompt` the caption of its pair."""

    value: str
    name: str
    small: PreviewImage
    large: PreviewImage
    prompt: str = ""
    dataset: Dataset | None = None
    number: int = 0
    uploaded: Input | None = None

    def as_input(self, actor: User, job: Job) -> Input:
        """Raises inputs.InvalidPictureError."""
        if self.uploaded is not None:
            return self.uploaded
        if self.dataset is None:
            raise inputs.InvalidPictureError(inputs.FILE_MISSING)
        return inputs.from_pair(self.dataset, self.number, actor=actor, job=job)


def offered(jobs: Iterable[Job], *, keep: Input | None = None) -> list[Choice]:
    """Pictures that people uploaded for these jobs, newest first, then pairs of the first job's dataset.

    `keep` is offered in any case.
    """
    jobs = list(jobs)
    dataset = next((job.dataset for job in jobs if job.dataset), None)
    pairs = _pairs(dataset) if dataset and dataset.has_file else []
    return [*_uploaded(jobs, keep, {choice.number for choice in pairs}, dataset), *pairs]


def chosen(offered: list[Choice], value: str) -> Choice | None:
    return next((choice for choice in offered if choice.value == value), None)


def for_input(image: Input) -> Choice:
    small, large = preview_of(image, "small"), preview_of(image, "large")
    return Choice(f"input-{image.pk}", image.name, small, large, uploaded=image)


def preview_of(source: Generation | Input, edge: str) -> PreviewImage:
    """The image of a result or an input."""
    name = "playground:input" if isinstance(source, Input) else "playground:picture"
    return PreviewImage(reverse(name, args=[source.pk, edge]), results.preview_path(source, edge))


def value_of(image: Input, offered: list[Choice]) -> str:
    """The value of the choice with this picture: of its pair, or its own."""
    values = (
        choice.value
        for choice in offered
        if choice.dataset and _is_pair(image, choice.dataset, {choice.number})
    )
    return next(values, f"input-{image.pk}")


def _pairs(dataset: Dataset) -> list[Choice]:
    return [
        Choice(
            value=f"pair-{number}",
            name=f"Pair {pair['index']}",
            small=preview_of_pair(dataset, number, "start", "small"),
            large=preview_of_pair(dataset, number, "start", "large"),
            prompt=pair["caption"],
            dataset=dataset,
            number=number,
        )
        for number, pair in enumerate(dataset.pairs[: choices.PAIRS])
    ]


def _uploaded(jobs: list[Job], keep: Input | None, pairs: set[int], dataset: Dataset | None) -> list[Choice]:
    recent = Generation.objects.filter(job__in=jobs).order_by("-pk").values_list("input", flat=True)[:50]
    order = list(dict.fromkeys([*([keep.pk] if keep else []), *recent]))
    images = Input.objects.in_bulk(order)
    uploaded = [
        images[pk] for pk in order if pk in images and not (dataset and _is_pair(images[pk], dataset, pairs))
    ]
    return [for_input(image) for image in uploaded[:MOST_UPLOADED]]


def _is_pair(image: Input, dataset: Dataset, numbers: set[int]) -> bool:
    return image.dataset_id == dataset.pk and image.number in numbers
