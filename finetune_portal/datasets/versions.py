"""New versions of a dataset: captions edited, harmless faults repaired. The original is never touched.

The web process writes only the row and its recipe; the worker makes the file.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.datasets import checker
from finetune_portal.datasets.models import Dataset
from finetune_portal.queue.leases import held_by


def with_captions(dataset: Dataset, captions: dict[str, str], *, actor: User) -> Dataset:
    """A version in which the pairs named by `captions` (index to text) have new captions."""
    return _new_version(dataset, {"captions": captions}, actor=actor)


def repaired(dataset: Dataset, *, actor: User) -> Dataset:
    """A version without the harmless faults that the check found; the one that is there, asked twice."""
    copies = Dataset.objects.filter(
        recipe={"repair": True, "from": dataset.pk}, deleted_at=None, file_removed_at=None
    )
    there = copies.exclude(state=Dataset.State.REJECTED).first()
    return there or _new_version(dataset, {"repair": True}, actor=actor)


def _new_version(dataset: Dataset, recipe: dict[str, Any], *, actor: User) -> Dataset:
    with transaction.atomic():
        last = Dataset.objects.filter(parent_id=dataset.parent_id or dataset.pk).order_by("-version").first()
        made = Dataset.objects.create(
            owner=actor,
            name=dataset.name,
            filename=dataset.filename,
            state=Dataset.State.MAKING,
            size=dataset.size,
            parent_id=dataset.parent_id or dataset.pk,
            version=(last.version if last else 1) + 1,
            recipe={**recipe, "from": dataset.pk},
        )
        record(actor, "dataset.version", made, of=dataset.pk, what=", ".join(recipe))
    return made


def make(dataset: Dataset) -> None:
    """Write the file that the recipe describes. The caller, the worker, holds the lease."""
    source = Dataset.objects.get(pk=dataset.recipe["from"])
    draft = dataset.path.with_suffix(f".{dataset.lease}.part")
    if not source.path.exists():
        return _reject(dataset, "The new version could not be made: the file it is made from is gone.")
    try:
        checker.repair_zip(source.path, draft, dataset.recipe.get("captions"))
        size = draft.stat().st_size
        draft.replace(dataset.path)
    except checker.ZipRejectedError as exc:
        return _reject(dataset, str(exc))
    held_by(dataset).filter(state=Dataset.State.MAKING).update(
        state=Dataset.State.CHECKING,
        size=size,
        received=size,
        due_at=now(),
        updated_at=now(),
        lease_expires_at=None,
    )
    return None


def _reject(dataset: Dataset, sentence: str) -> None:
    verdict = {"problems": [sentence], "warnings": [], "pairs": []}
    held_by(dataset).update(
        state=Dataset.State.REJECTED, verdict=verdict, updated_at=now(), lease_expires_at=None
    )
