"""The only access to datasets: who may see, use and change which."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.shortcuts import get_object_or_404

from finetune_portal.accounts.models import User
from finetune_portal.datasets.models import Dataset
from finetune_portal.projects import access as projects

# A public address of no use: it was refused, and no repair can be made.
REFUSED_URL = Q(state=Dataset.State.REJECTED, verdict__repairs__0__isnull=True) & ~Q(source_url="")
ROOT = Coalesce("parent", "pk")  # the same for all versions of a dataset
SHA256 = re.compile("[0-9a-f]{64}")


def visible(user: User) -> QuerySet[Dataset]:
    """All but those of private projects of others; deleted ones included: their jobs link to them."""
    if not user.is_active:
        return Dataset.objects.none()
    rows = Dataset.objects.filter(projects.is_seen(user))
    return rows.select_related("owner").prefetch_related("transfers")


def listed(user: User) -> QuerySet[Dataset]:
    """Datasets that are not deleted; a public address that was refused for good is none."""
    return visible(user).filter(deleted_at=None).exclude(REFUSED_URL).defer("verdict")


def unfinished(user: User) -> QuerySet[Dataset]:
    """Uploads that are not complete, newest first."""
    return listed(user).filter(state=Dataset.State.RECEIVING).order_by("-pk")


def library(user: User, query: str) -> QuerySet[Dataset]:
    """The newest version of each dataset that has a version which `search` finds."""
    newer = listed(user).exclude(state=Dataset.State.RECEIVING).filter(pk__gt=OuterRef("pk"))
    of_same = newer.filter(parent=Coalesce(OuterRef("parent"), OuterRef("pk")))  # no original is newer
    rows = search(user, "").filter(~Exists(of_same))
    if query:
        rows = rows.annotate(root=ROOT).filter(
            root__in=search(user, query).annotate(root=ROOT).values("root")
        )
    return rows


def other_versions(user: User, datasets: Iterable[Dataset]) -> QuerySet[Dataset, Any]:
    """What the library has of the same datasets beside these versions, the newest first."""
    shown = {each.pk: each.parent_id or each.pk for each in datasets}
    family = Q(pk__in=shown.values()) | Q(parent__in=shown.values())
    rows = search(user, "").filter(family).exclude(pk__in=shown)
    return rows.prefetch_related(None).order_by("-pk")


def search(user: User, query: str) -> QuerySet[Dataset]:
    """Complete datasets, each version by itself, whose name, file name or owner's name holds `query`."""
    rows = listed(user).exclude(state=Dataset.State.RECEIVING).annotate(job_count=Subquery(_job_count(user)))
    if query:
        by_name = Q(name__icontains=query) | Q(filename__icontains=query)
        rows = rows.filter(by_name | Q(owner__name__icontains=query))
    return rows


def _job_count(user: User) -> QuerySet[Dataset, Any]:
    """A subquery per row of the page; a join would count the jobs of every dataset."""
    count = Count("jobs", filter=~_is_job_hidden(user))
    return Dataset.objects.filter(pk=OuterRef("pk")).annotate(count=count).values("count")


def _is_job_hidden(user: User) -> Exists:
    return Exists(projects.hidden(user).filter(pk=OuterRef("jobs__project")))


def jobs_of(user: User, dataset: Dataset) -> QuerySet[Any]:
    """The jobs of a dataset that this person may see, the newest first. They are of a higher app."""
    return dataset.jobs.filter(projects.is_seen(user)).order_by("-pk")


def duplicate_of(user: User, dataset: Dataset) -> Dataset | None:
    """An older dataset that the person sees in the library and whose file has the same SHA-256."""
    if not dataset.sha256:
        return None
    rows = visible(user).filter(sha256=dataset.sha256, deleted_at=None, file_removed_at=None)
    return rows.filter(pk__lt=dataset.pk).order_by("pk").first()


def dataset_to_see(user: User, pk: int) -> Dataset:
    return get_object_or_404(visible(user), pk=pk)


def may_change(user: User, dataset: Dataset) -> bool:
    return dataset.deleted_at is None and may_delete(user, dataset)


def made_of(user: User, dataset: Dataset) -> dict[str, int]:
    """How many versions were made of a dataset, and how many jobs that the person sees trained on them."""
    family = Dataset.objects.filter(Q(pk=dataset.pk) | Q(parent=dataset))
    jobs = Count("jobs", filter=~_is_job_hidden(user))
    return family.aggregate(version_count=Count("pk", distinct=True) - 1, job_count=jobs)


def may_resume(user: User, dataset: Dataset) -> bool:
    """Whether this person can go on with an upload that stopped."""
    return dataset.is_stalled and user.can_train and dataset.owner_id == user.pk


def dataset_to_change(user: User, pk: int) -> Dataset:
    dataset = dataset_to_see(user, pk)
    if not may_change(user, dataset):
        raise PermissionDenied("Only the person who uploaded this dataset, or an admin, can do that.")
    return dataset


def may_delete(user: User, dataset: Dataset) -> bool:
    """Whether this person may delete it for good, also where it was removed from the library before."""
    return user.can_administer or (user.can_train and dataset.owner_id == user.pk)


def dataset_to_delete(user: User, pk: int) -> Dataset:
    dataset = dataset_to_see(user, pk)
    if not may_delete(user, dataset):
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
    return get_object_or_404(visible(user), key=key, owner=user)


def is_there(dataset: Dataset) -> bool:
    """Whether nobody deleted it meanwhile."""
    return Dataset.objects.filter(pk=dataset.pk).exists()
