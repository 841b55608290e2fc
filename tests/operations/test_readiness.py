"""/healthz and /readyz, for the operator's tools."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils.timezone import now

from finetune_portal.worker.models import Heartbeat

pytestmark = pytest.mark.django_db


def test_without_a_worker_it_is_healthy_but_not_ready(client: Client) -> None:
    """D9"""
    assert client.get("/healthz").status_code == 200
    response = client.get("/readyz")
    assert (response.status_code, response.content) == (503, b"The worker is not running.\n")


@pytest.mark.parametrize(("age", "status"), [(0, 200), (59, 200), (61, 503)])
def test_a_worker_is_alive_for_a_minute(client: Client, age: int, status: int) -> None:
    Heartbeat.objects.create(task="follow", beat_at=now() - timedelta(seconds=age))
    assert client.get("/readyz").status_code == status


def test_a_task_that_is_busy_with_a_long_file_is_no_dead_worker(client: Client) -> None:
    Heartbeat.objects.create(task="transfer", beat_at=now() - timedelta(hours=1))
    Heartbeat.objects.create(task="follow")
    assert client.get("/readyz").status_code == 200
