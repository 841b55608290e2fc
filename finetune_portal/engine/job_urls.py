"""The URLs at which a job's results are found: its weights, and its model for inference."""

from __future__ import annotations

import re

from finetune_portal.engine.models import Job
from finetune_portal.engine.storage import keys


def slug(job: Job) -> str:
    """The id and the lower-case name, such as `3f0c…-red-hats` (docs/provider-api.md, 13)."""
    return f"{job.id}-{re.sub(r'[^a-z0-9]+', '-', job.name.lower()).strip('-')}".rstrip("-")


def weights_url(job: Job, base_url: str) -> str | None:
    """The address of the weights in the storage, unsigned; none before there are weights."""
    return keys.url(base_url, job.weights) if job.weights else None


def inference_url(job: Job) -> str:
    return f"{job.base_url}/v1/{slug(job)}"
