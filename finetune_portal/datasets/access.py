"""The one door to datasets: who may see, use and change which."""

from __future__ import annotations

import re
import uuid

from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.shortcuts import get_object_or_404

from finetune_portal.accounts.models import User
from finetune_portal.datasets.models import Dataset

# Asked for each row that is shown; a join would count the jobs of all.
_JOBS = Dataset.objects.filter(pk=OuterRef("pk")).annotate(count=Count("jobs")).values("count")
SHA256 = re.compile("[0-9a-f]{64}")


def visible(user: User) -> QuerySet[Dataset]:
    """Everyone who is signed in sees every dataset; a deleted one still has its page, for its jobs."""
    rows = Dataset.objects.select_related("owner").prefetch_related("transfers")
    return rows if user.is_active else Dataset.objects.none()


def found(user: User, words: str) -> QuerySet[Dataset]:
    """The library: what is not deleted and has the words in its name, its file's name or its owner's."""
    rows = visible(user).filter(deleted_at=None).defer("verdict").annotate(job_count=Subquery(_JOBS))
    if words:
        named = Q(name__icontains=words) | Q(filename__icontains=words) | Q(owner__name__icontains=words)
        rows = rows.filter(named)
    return rows


def dataset_to_see(user: User, pk: int) -> Dataset:
    return get_object_or_404(visible(user), pk=pk)


def may_change(user: User, dataset: Dataset) -> bool:
    mine = user.can_train and dataset.owner_id == user.pk
    return dataset.deleted_at is None and (user.can_administer or mine)


def dataset_to_change(user: User, pk: int) -> Dataset:
    dataset = dataset_to_see(user, pk)
    if not may_change(user, dataset):
        raise PermissionDenied("Only the person who uploaded this dataset, or an admin, can do that.")
    return dataset


def usable(user: User) -> QuerySet[Dataset]:
    return visible(user).filter(deleted_at=None).exclude(state=Dataset.State.REJECTED)


def with_content(user: User, sha256: str) -> QuerySet[Dataset]:
    """What the person may use that has just these bytes and whose file is here, the oldest first."""
    rows = usable(user).filter(file_removed_at=None).defer("verdict").order_by("pk")
    return rows.filter(sha256=sha256) if SHA256.fullmatch(sha256) else rows.none()


def versions(user: User, dataset: Dataset) -> QuerySet[Dataset]:
    """All versions of the same dataset, the first one among them, oldest first."""
    root = dataset.parent_id or dataset.pk
    return visible(user).filter(Q(pk=root) | Q(parent_id=root), deleted_at=None).order_by("version")


def upload_of(user: User, key: uuid.UUID) -> Dataset:
    """An upload belongs to the person who began it; to all others it does not exist."""
    return get_object_or_404(Dataset, key=key, owner=user)
