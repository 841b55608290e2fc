"""The one door to datasets: who may see and who may use which."""

from __future__ import annotations

import uuid

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404

from finetune_portal.accounts.models import User
from finetune_portal.datasets.models import Dataset


def visible(user: User) -> QuerySet[Dataset]:
    """The library is the team's: everyone who is signed in sees every dataset."""
    return Dataset.objects.select_related("owner", "carry") if user.is_active else Dataset.objects.none()


def dataset_to_see(user: User, pk: int) -> Dataset:
    return get_object_or_404(visible(user), pk=pk)


def usable(user: User) -> QuerySet[Dataset]:
    return visible(user).exclude(state=Dataset.State.REJECTED)


def upload_of(user: User, key: uuid.UUID) -> Dataset:
    """An upload belongs to the person who began it; to all others it does not exist."""
    return get_object_or_404(Dataset, key=key, owner=user)
