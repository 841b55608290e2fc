"""The only access to datasets: who may see, use and change which."""

from __future__ import annotations

import re
import uuid

from django.core.exceptions import PermissionDenied
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.shortcuts import get_object_or_404

from finetune_portal.accounts.models import User
from finetune_portal.datasets.models import Dataset

# A subquery per row of the page; a join would count the jobs of every dataset.
_JOB_COUNT = Dataset.objects.filter(pk=OuterRef("pk")).annotate(count=Count("jobs")).values("count")
# A public address of no use: it was refused, and no repair can be made.
REFUSED_URL = Q(state=Dataset.State.REJECTED, verdict__repairs__0__isnull=True) & ~Q(source_url="")
SHA256 = re.compile("[0-9a-f]{64}")


def visible(user: User) -> QuerySet[Dataset]:
    """All datasets for every active user, deleted ones included: their jobs link to them."""
    rows = Dataset.objects.select_related("owner").prefetch_related("transfers")
    return rows if user.is_active else Dataset.objects.none()


def listed(user: User) -> QuerySet[Dataset]:
    """Datasets that are not deleted; a public address that was refused for good is none."""
    return visible(user).filter(deleted_at=None).exclude(REFUSED_URL).defer("verdict")


def unfinished(user: User) -> QuerySet[Dataset]:
    """Uploads that are not complete, newest first."""
    return listed(user).filter(state=Dataset.State.RECEIVING).order_by("-pk")


def search(user: User, query: str) -> QuerySet[Dataset]:
    """The library: complete datasets whose name, file name or owner's name holds `query`."""
    rows = listed(user).exclude(state=Dataset.State.RECEIVING).annotate(job_count=Subquery(_JOB_COUNT))
    if query:
        by_name = Q(name__icontains=query) | Q(filename__icontains=query)
        rows = rows.filter(by_name | Q(owner__name__icontains=query))
    return rows


def dataset_to_see(user: User, pk: int) -> Dataset:
    return get_object_or_404(visible(user), pk=pk)


def may_change(user: User, dataset: Dataset) -> bool:
    is_own = user.can_train and dataset.owner_id == user.pk
    return dataset.deleted_at is None and (user.can_administer or is_own)


def may_resume(user: User, dataset: Dataset) -> bool:
    """Whether this person can go on with an upload that stopped."""
    return dataset.is_stalled and user.can_train and dataset.owner_id == user.pk


def dataset_to_change(user: User, pk: int) -> Dataset:
    dataset = dataset_to_see(user, pk)
    if not may_change(user, dataset):
        raise PermissionDenied("Only the person who uploaded this dataset, or an admin, can do that.")
    return dataset


def usable(user: User) -> QuerySet[Dataset]:
    return visible(user).filter(deleted_at=None).exclude(state=Dataset.State.REJECTED)


def repaired_copy(user: User, dataset: Dataset) -> Dataset | None:
    """The newest usable copy of a dataset that was made by its repair."""
    return usable(user).filter(recipe__repair=True, recipe__from=dataset.pk).order_by("-pk").first()


def with_sha256(user: User, sha256: str) -> QuerySet[Dataset]:
    """Usable datasets whose file is on disk and has this SHA-256, oldest first."""
    rows = usable(user).filter(file_removed_at=None).defer("verdict").order_by("pk")
    return rows.filter(sha256=sha256) if SHA256.fullmatch(sha256) else rows.none()


def versions(user: User, dataset: Dataset) -> QuerySet[Dataset]:
    """All versions of the same dataset, the original included, oldest first."""
    root = dataset.parent_id or dataset.pk
    return visible(user).filter(Q(pk=root) | Q(parent_id=root), deleted_at=None).order_by("version")


def upload_of(user: User, key: uuid.UUID) -> Dataset:
    """The person's own upload; 404 for anybody else's."""
    return get_object_or_404(Dataset, key=key, owner=user)
