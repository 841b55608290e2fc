"""A fake fal with the portal's built-in connection to it, and a model that was trained there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections import capabilities
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.models import Job
from tests.fal.calls import KLEIN
from tests.fal.server import FakeFal
from tests.people import make_job
from tests.provider.results import WEIGHTS


@pytest.fixture
def fal(settings: Any) -> Iterator[FakeFal]:
    """A fake whose key is in the environment, so that it has a built-in connection."""
    with FakeFal() as running:
        settings.PROVIDER_KEYS = {"fal": running.key}
        settings.PROVIDER_ADDRESSES = {
            "fal": {
                "queue": running.queue_url,
                "rest": running.rest_url,
                "cdn": running.cdn_url,
                "api": running.api_url,
            }
        }
        yield running


@pytest.fixture
def at_fal(fal: FakeFal, db: None) -> Connection:
    """The connection, whose trainers and capabilities are known."""
    connections.built_in()
    connection = Connection.objects.get(provider="fal")
    while connection.capabilities_due_at <= now():
        assert capabilities.refresh_next()
        connection.refresh_from_db()
    return connection


def trained(owner: User, connection: Connection, fal: FakeFal, **fields: Any) -> Job:
    """A job whose weights lie at the fake."""
    path = fal.files.put("pytorch_lora_weights.safetensors", WEIGHTS, "application/octet-stream")
    defaults = {
        "trainer": KLEIN,
        "request_id": f"fal-{Job.objects.count()}",
        "provider_status": "COMPLETED",
        "cloud_storage_url": f"{fal.cdn_url}{path}",
        **fields,
    }
    return make_job(owner, "ready", connection=connection, **defaults)
