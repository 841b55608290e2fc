"""Points the portal at a provider and goes through the worker's tasks by hand, one step at a time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.test import Client
from django.utils.timezone import now

from finetune_portal.connections import services as connections
from finetune_portal.datasets.models import Dataset, Transfer
from finetune_portal.datasets.transfer import schedule_transfer, transfer_next
from finetune_portal.jobs.choices import ENDED
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.sync import poll
from finetune_portal.worker import tasks
from tests.engine.calling import call
from tests.ports import closed_port
from tests.provider import ScriptedProvider
from tests.running import RunningEngine
from tests.waiting import until


def point_at(settings: Any, provider: RunningEngine | ScriptedProvider) -> None:
    settings.SEGMIND_BASE_URL, settings.SEGMIND_API_KEY = provider.url, provider.key


def point_nowhere(settings: Any) -> None:
    """At a port where nobody listens."""
    settings.SEGMIND_BASE_URL = f"http://127.0.0.1:{closed_port()}"


def transfer_now(dataset: Dataset) -> None:
    """Take the dataset to the engine's storage."""
    schedule_transfer(dataset, connections.default())
    Transfer.objects.update(due_at=now())
    assert transfer_next()


def send_now(job: Job) -> Job:
    """One try to send, before all others and whatever pause it would make. The worker is alive."""
    poll.poll_now()
    first = min(now(), Job.objects.earliest("due_at").due_at)
    Job.objects.filter(pk=job.pk).update(due_at=first - timedelta(seconds=1))
    tasks.submit_jobs()
    return fresh(job)


def follow_now() -> None:
    """One look at the provider's list."""
    poll.poll_now()
    assert poll.poll_next()


def followed_until(job: Job, *states: str) -> Job:
    """The job once it is in one of these states, by default in any that it cannot leave."""

    def look() -> Job | None:
        follow_now()
        current = fresh(job)
        return current if current.state in (states or ENDED) else None

    return until(look)


def fresh(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def jobs_at_provider(engine: RunningEngine, job: Job) -> list[dict[str, Any]]:
    """What the engine's list has by the name of this job."""
    listed = call(engine, "GET", "/finetune/request/list").json()
    return [item for item in listed if item["name"] == job.name_at_provider]


def text_of(client: Client, url: str = "/") -> str:
    response = client.get(url, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def content_of(response: Any) -> bytes:
    """The body of a page or of a streamed file."""
    return b"".join(response.streaming_content) if response.streaming else response.content
