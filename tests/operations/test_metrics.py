"""GET /metrics, for Prometheus: who may read it, and what it tells."""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.models import Attempt
from finetune_portal.worker.models import Heartbeat
from tests.people import make_job, signed_in

TOKEN = "a-token-for-prometheus"
LINE = re.compile(r'portal_[a-z_]+(\{([a-z]+="(\\.|[^"\\])*",?)*\})? -?[0-9.e+]+')


@pytest.fixture(autouse=True)
def token(db: None, settings: Any) -> None:
    settings.METRICS_TOKEN = TOKEN


def read(**headers: str) -> dict[str, float]:
    answer = Client(headers={"Authorization": f"Bearer {TOKEN}", **headers}).get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.content.decode().splitlines()
    values = [line for line in lines if not line.startswith("#")]
    assert all(LINE.fullmatch(line) for line in values)
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in values}


@pytest.mark.parametrize("given", ["", "Bearer ", "Bearer wrong", f"Bearer {TOKEN}x", f"Basic {TOKEN}"])
def test_a_wrong_token_reads_nothing(given: str, dana: User) -> None:
    for client in (Client(), signed_in(dana)):
        answer = client.get("/metrics", headers={"Authorization": given})
        assert (answer.status_code, b"portal_" in answer.content) == (403, False)


def test_without_a_token_set_none_is_right(settings: Any) -> None:
    settings.METRICS_TOKEN = ""
    assert Client().get("/metrics", headers={"Authorization": "Bearer "}).status_code == 403


@pytest.mark.parametrize(
    ("address", "host", "forwarded", "status"),
    [
        ("127.0.0.1", "127.0.0.1", "", 200),
        ("127.0.0.1", "localhost:8000", "", 200),
        ("127.0.0.1", "testserver", "", 403),
        ("127.0.0.1", "127.0.0.1", "198.51.100.7", 403),
        ("127.0.0.1", "testserver", "10.1.2.3", 200),
        ("10.1.2.3", "testserver", "", 200),
        ("198.51.100.7", "127.0.0.1", "127.0.0.1", 403),
    ],
)
def test_by_address(address: str, host: str, forwarded: str, status: int, settings: Any) -> None:
    """A stranger who comes through a proxy on this machine is a stranger, also if it does not say so."""
    settings.METRICS_NETWORKS = [ip_network("127.0.0.0/8"), ip_network("10.1.0.0/16")]
    settings.ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    answer = Client(headers=headers, REMOTE_ADDR=address, SERVER_NAME=host.partition(":")[0]).get("/metrics")
    assert answer.status_code == status


def test_it_counts_what_there_is(alice: User) -> None:
    job = make_job(alice, "needs_decision")
    make_job(alice, "ready")
    Attempt.objects.create(job=job, outcome=Attempt.Outcome.UNKNOWN)
    Heartbeat.objects.create(task="submit", beat_at=now() - timedelta(seconds=50))
    fields = {
        "credits": 12.5,
        "last_answer_at": now() - timedelta(minutes=5),
        "failing_since": now(),
        "name": 'A "b" \\ c',
    }
    Connection.objects.update(**fields)
    metrics_now = read()
    assert (
        metrics_now['portal_jobs{state="needs_decision"}'] == metrics_now['portal_jobs{state="ready"}'] == 1
    )
    assert metrics_now['portal_jobs{state="failed"}'] == 0
    assert metrics_now['portal_submits{outcome="unknown"}'] == 1
    assert metrics_now['portal_worker_age_seconds{lane="submit"}'] == pytest.approx(50, abs=5)
    of = r'{connection="A \"b\" \\ c"}'
    assert metrics_now[f"portal_upstream_age_seconds{of}"] == pytest.approx(300, abs=5)
    assert (metrics_now[f"portal_upstream_up{of}"], metrics_now[f"portal_credits{of}"]) == (0, 12.5)


def test_it_names_nobody(alice: User) -> None:
    make_job(alice, name="secret-project")
    answer = Client(headers={"Authorization": f"Bearer {TOKEN}"}).get("/metrics").content.decode()
    assert "secret-project" not in answer
    assert "alice" not in answer.lower()
