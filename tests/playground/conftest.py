"""A scripted provider, a job whose model it serves, and the steps of the worker's task."""

from __future__ import annotations

import io
import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils.timezone import now
from PIL import Image

from finetune_portal.accounts.models import User
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Job
from finetune_portal.playground import generate
from finetune_portal.playground.models import Generation
from tests.people import make_job
from tests.provider import ScriptedProvider
from tests.worker.driving import point_at

SLUG = "0f0a-day-to-night"


@pytest.fixture
def provider(settings: Any) -> Iterator[ScriptedProvider]:
    """A provider that charges each run."""
    settings.LOCAL_ENGINE = False
    with ScriptedProvider() as running_provider:
        point_at(settings, running_provider)
        yield running_provider


@pytest.fixture
def job(alice: User, provider: ScriptedProvider, dataset: Dataset) -> Job:
    return ready(alice, dataset)


def ready(owner: User, dataset: Dataset | None = None, **fields: Any) -> Job:
    number = Job.objects.count()
    defaults = {"request_id": f"r-{number}", "slug": SLUG, "ended_at": now(), "dataset": dataset, **fields}
    return make_job(owner, "ready", **defaults)


def image(kind: str = "PNG", size: tuple[int, int] = (48, 32), colour: str = "teal") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


def form(**fields: Any) -> dict[str, Any]:
    """What the browser posts; None leaves a field out."""
    defaults = {
        "form_key": str(uuid.uuid4()),
        "picture": "pair-0",
        "prompt": "turn day into night",
        "strength": "1",
        "seed": "7",
        "steps": "28",
        "guidance": "2.5",
        **fields,
    }
    return {name: value for name, value in defaults.items() if value is not None}


def own(content: bytes, name: str = "street.png") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content)


def ordered(client: Any, job: Job, **fields: Any) -> Generation:
    """Ask for a run through the page, and find its row."""
    answer = client.post(f"/jobs/{job.pk}/try/", form(**fields))
    assert answer.status_code == 302, answer.content.decode()
    return Generation.objects.latest("pk")


def run_task() -> bool:
    """What the worker does for one run, whatever pause it would make: host its picture, then run it."""
    moved = step()
    if Generation.objects.filter(state="queued", attempts=0).exclude(hosted_url="").exists():
        step()
    return moved


def step() -> bool:
    Generation.objects.filter(state="queued").update(due_at=now() - timedelta(seconds=1))
    return generate.generate_next()


def content(answer: Any) -> bytes:
    """All of a streamed answer, which closes its file."""
    assert answer.status_code == 200, answer.status_code
    return b"".join(answer)


def fresh(generation: Generation) -> Generation:
    return Generation.objects.get(pk=generation.pk)
