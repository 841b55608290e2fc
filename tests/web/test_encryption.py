"""Without the key to what is sealed the portal goes on: every address answers, none with a fault (K3)."""

from __future__ import annotations

from typing import Any

from django.test import Client

from finetune_portal.accounts.models import User
from finetune_portal.connections import services
from finetune_portal.jobs.models import Job
from tests.test_access import outcome_for, table
from tests.test_access import people as people
from tests.test_access import route_values as route_values

NOBODY = "http://127.0.0.1:9"


def test_no_address_breaks(
    route_values: dict[str, str], people: dict[str, Client], dana: User, settings: Any
) -> None:
    """The jobs are of a connection whose key cannot be decrypted; each action is tried by an admin."""
    settings.PROVIDER_URLS = [NOBODY]
    second = services.add(name="Second", base_url=NOBODY, key="sk-0123456789", actor=dana)
    Job.objects.update(connection=second)
    settings.ENCRYPTION_KEYS = ["another key than that of then"]
    page = people["admin"].post(f"/settings/connections/{second.pk}/test/", follow=True).content.decode()
    assert "The API key of “Second” cannot be decrypted" in page
    for line in table():
        outcome_for(people["admin"], line, route_values)
