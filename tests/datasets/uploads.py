"""A file that was uploaded and is not checked yet."""

from __future__ import annotations

from finetune_portal.accounts.models import User
from finetune_portal.datasets import services
from finetune_portal.datasets.models import Dataset


def upload(owner: User, content: bytes, filename: str = "hats.zip") -> Dataset:
    dataset = services.start_upload(owner=owner, filename=filename, size=len(content))
    dataset.path.write_bytes(content)
    services.commit_offset(dataset, len(content))
    return dataset
