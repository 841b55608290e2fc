"""Make new versions of a dataset: edited captions, or a repaired copy. The original never changes.

The web process writes only the row and its recipe; the worker writes the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.services import record
from finetune_portal.datasets import checker
from finetune_portal.datasets.models import Dataset
from finetune_portal.queue.leases import held_by
from finetune_portal.storage import files
from finetune_portal.web.disk_full import DiskFullError


def with_captions(dataset: Dataset, captions: dict[str, str], *, actor: User) -> Dataset:
    """Start a version with new `captions`, by the index of their pair."""
    return _new_version(dataset, {"captions": captions}, actor=actor)


def repaired(
    dataset: Dataset,
    *,
    actor: User,
    is_swapped: bool = False,
    words: dict[str, str] | None = None,
    code_page: str = "",
    caption_page: str = "",
) -> Dataset:
    """Start a version with every repair that the check offers. A second request returns the same version.

    `is_swapped` exchanges the halves of all pairs, where the check guessed them the wrong way round. `words`
    take the place of placeholders in captions, by the placeholder. Names are read in `code_page`, captions in
    `caption_page`, or in those that the check guessed.
    """
    recipe: dict[str, Any] = {"repair": True}
    if is_swapped:
        recipe["swap"] = True
    if words:
        recipe["words"] = words
    if code_page:
        recipe["code_page"] = code_page
    if caption_page:
        recipe["caption_page"] = caption_page
    rows = Dataset.objects.filter(recipe={**recipe, "from": dataset.pk})
    existing = rows.filter(deleted_at=None, file_removed_at=None).exclude(state=Dataset.State.REJECTED)
    with transaction.atomic():
        _lock(dataset)
        return existing.first() or _new_version(dataset, recipe, actor=actor)


def _lock(dataset: Dataset) -> None:
    """Let one at a time make a version, in a transaction: each has a number of its own."""
    Dataset.objects.select_for_update().only("pk").get(pk=dataset.parent_id or dataset.pk)


def _new_version(dataset: Dataset, recipe: dict[str, Any], *, actor: User) -> Dataset:
    root = dataset.parent_id or dataset.pk
    with transaction.atomic():
        _lock(dataset)
        project = Dataset.objects.get(pk=root).project_id  # all versions move together
        latest = Dataset.objects.filter(parent_id=root).order_by("-version").first()
        version = Dataset.objects.create(
            owner=actor,
            project_id=project,
            name=dataset.name,
            filename=dataset.filename,
            state=Dataset.State.MAKING,
            size=dataset.size,
            parent_id=root,
            version=(latest.version if latest else 1) + 1,
            recipe={**recipe, "from": dataset.pk},
        )
        record(actor, "dataset.version", version, of=dataset.pk, what=", ".join(recipe))
    return version


def with_origins(datasets: Iterable[Dataset]) -> list[tuple[Dataset, str]]:
    """Pair each dataset with what it was made from, in words; empty for an upload.

    What a version was made from may be deleted for good, while the version stays.
    """
    rows = list(datasets)
    sources = {row.recipe["from"] for row in rows if "from" in row.recipe}
    numbers = dict(Dataset.objects.filter(pk__in=sources).values_list("pk", "version"))
    return [(row, _origin(row, numbers.get(row.recipe.get("from")))) for row in rows]


def _origin(dataset: Dataset, source: int | None) -> str:
    if "from" not in dataset.recipe:
        return ""
    what = "Repaired copy" if "repair" in dataset.recipe else "New captions"
    swapped = ", with before and after swapped" if "swap" in dataset.recipe else ""
    by_place = sorted(dataset.recipe.get("words", {}).items())  # a database may keep them in its own order
    words = "".join(f", with “{word}” for {place}" for place, word in by_place)
    page = dataset.recipe.get("code_page", "")
    names = f", with names read as {checker.CODE_PAGES[page]}" if page else ""
    page = dataset.recipe.get("caption_page", "")
    captions = f", with captions read as {checker.CODE_PAGES[page]}" if page else ""
    of = f"version {source}" if source else "a deleted version"
    return f"{what} of {of}{swapped}{words}{names}{captions}"


def make(dataset: Dataset) -> None:
    """Write the file that the recipe describes. The caller, the worker, holds the lease."""
    source = Dataset.objects.get(pk=dataset.recipe["from"])
    if not source.path.exists():
        return _reject(dataset, "The new version could not be made: the file of the original is gone.")
    try:
        size = _write(dataset, source)
    except (checker.ZipRejectedError, DiskFullError) as exc:
        return _reject(dataset, str(exc))
    fields = {"state": Dataset.State.CHECKING, "size": size, "received": size, "due_at": now()}
    rows = held_by(dataset).filter(state=Dataset.State.MAKING)
    rows.update(updated_at=now(), lease_expires_at=None, **fields)
    return None


def _write(dataset: Dataset, source: Dataset) -> int:
    """Write the file and return its size. Raises ZipRejectedError, DiskFullError."""
    is_swapped = bool(dataset.recipe.get("swap"))
    captions, words = dataset.recipe.get("captions"), dataset.recipe.get("words")
    pages = {name: dataset.recipe.get(name, "") for name in ("code_page", "caption_page")}
    with files.draft() as draft:
        checker.repair_zip(
            source.path,
            draft,
            captions,
            is_swapped=is_swapped,
            words=words,
            **pages,
            room=files.room(),
        )
        size = draft.stat().st_size
        files.move(draft, dataset.path)
    return size


def _reject(dataset: Dataset, sentence: str) -> None:
    verdict = {"problems": [sentence], "warnings": [], "pairs": []}
    fields = {"state": Dataset.State.REJECTED, "verdict": verdict}
    held_by(dataset).update(updated_at=now(), lease_expires_at=None, **fields)
