"""A fake Replicate with the portal's built-in connection to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.utils.timezone import now

from finetune_portal.connections import capabilities
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from tests.replicate.server import FakeReplicate


@pytest.fixture
def replicate(settings: Any) -> Iterator[FakeReplicate]:
    with FakeReplicate() as running:
        settings.PROVIDER_KEYS = {"replicate": running.key}
        settings.PROVIDER_ADDRESSES = {"replicate": {"api": running.api_url}}
        yield running


@pytest.fixture
def at_replicate(replicate: FakeReplicate, db: None) -> Connection:
    connections.built_in()
    connection = Connection.objects.get(provider="replicate")
    while connection.capabilities_due_at <= now():
        assert capabilities.refresh_next()
        connection.refresh_from_db()
    return connection
