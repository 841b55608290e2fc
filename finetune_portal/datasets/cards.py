"""The cards of the library: one for each dataset, with all its versions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from finetune_portal.accounts.models import User
from finetune_portal.datasets import access, versions
from finetune_portal.datasets.models import Dataset


@dataclass(frozen=True)
class Card:
    """A dataset: its newest version, then the others, each with what it was made from."""

    dataset: Any  # with the annotation of `access.search`, as the others
    others: list[tuple[Any, str]]

    @property
    def job_count(self) -> int:
        """The jobs with any version."""
        return sum(each.job_count for each in (self.dataset, *(other for other, _ in self.others)))


def of(user: User, datasets: Iterable[Dataset]) -> list[Card]:
    """The cards of these rows of the library. Two queries, however many there are."""
    rows = list(datasets)
    others: dict[int, list[tuple[Any, str]]] = defaultdict(list)
    for other, origin in versions.with_origins(access.other_versions(user, rows)):
        others[other.parent_id or other.pk].append((other, origin))
    return [Card(each, others[each.parent_id or each.pk]) for each in rows]
