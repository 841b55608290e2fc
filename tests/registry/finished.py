"""Finished jobs whose model files lie at a fake provider, and the worker's copying, one step at a time."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.timeline import Source, move
from finetune_portal.registry import copying
from finetune_portal.registry.models import ModelFile
from tests.fal.account import trained
from tests.fal.server import FakeFal
from tests.people import make_job
from tests.provider import ScriptedProvider
from tests.worker.driving import fresh


def content(seed: int, size: int = 3_000_000) -> bytes:
    return random.Random(seed).randbytes(size)


def finished(owner: User, provider: ScriptedProvider, data: bytes, **fields: Any) -> Job:
    """A job at Segmind's fake that becomes ready now."""
    paid = provider.adds(str(fields.get("name", "hats")))
    paid.status, paid.ahead = "AVAILABLE", []
    provider.weights[paid.id] = data
    job = make_job(owner, "deploying", request_id=paid.id, cloud_storage_url=paid.cloud_storage_url, **fields)
    move(job, State.READY, "Ready", source=Source.POLL)
    return job


def finished_at_fal(owner: User, connection: Any, fal: FakeFal, data: bytes, **fields: Any) -> Job:
    path = fal.files.put("pytorch_lora_weights.safetensors", data, "application/octet-stream")
    job = trained(owner, connection, fal, cloud_storage_url=f"{fal.cdn_url}{path}", **fields)
    Job.objects.filter(pk=job.pk).update(state=State.RUNNING)
    job.refresh_from_db()
    move(job, State.READY, "Ready", source=Source.POLL)
    return job


def copied(job: Job, *, tries: int = 1) -> Job:
    """The job after so many steps of the worker, whatever pause each would make."""
    for _ in range(tries):
        ModelFile.objects.update(due_at=now() - timedelta(seconds=1))
        assert copying.copy_next()
    return fresh(job)


def file_of(job: Job) -> ModelFile:
    return ModelFile.objects.get(model__job=job)


def texts(job: Job) -> list[str]:
    return list(job.events.values_list("text", flat=True))
