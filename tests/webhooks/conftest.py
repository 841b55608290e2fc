"""A webhook address, and how the provider knocks at it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client

from finetune_portal.accounts.models import User
from finetune_portal.webhooks import services
from tests.jobs.test_at_fal import connection, ready_to_send, sent  # noqa: F401 - fixtures


@pytest.fixture
def address(dana: User) -> str:
    """The path of a webhook that dana made."""
    return urlsplit(services.new_address(actor=dana)).path


def knock(address: str, payload: Any, headers: dict[str, str] | None = None) -> int:
    """The status of the answer."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    client = Client(enforce_csrf_checks=True)
    return client.post(address, body, content_type="application/json", headers=headers or {}).status_code
