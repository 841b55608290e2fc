"""The worker works as soon as somebody writes something, and rests while nobody does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby

import pytest
from django.db import connection

from finetune_portal.worker import loop
from finetune_portal.worker.tasks import PeriodicTask
from tests.people import person
from tests.waiting import until

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def going(monkeypatch: pytest.MonkeyPatch, idle: float) -> Iterator[list[int]]:
    """A worker with one task; the list grows with each step."""
    steps: list[int] = []
    task = PeriodicTask("count", lambda: bool(steps.append(1)), pause=0.01, idle=idle)
    monkeypatch.setattr(loop, "TASKS", (task,))
    monkeypatch.setattr(loop, "FIRST_BEAT", 60)
    stop = threading.Event()
    thread = threading.Thread(target=loop.run, args=(stop,))
    thread.start()
    try:
        yield steps
    finally:
        stop.set()
        thread.join()


def test_a_commit_makes_it_look(monkeypatch: pytest.MonkeyPatch) -> None:
    with going(monkeypatch, idle=600) as steps:
        until(lambda: steps)
        looked = len(steps)
        person("alice", "maker")
        until(lambda: len(steps) > looked)


def test_without_one_it_still_looks_for_what_falls_due(monkeypatch: pytest.MonkeyPatch) -> None:
    with going(monkeypatch, idle=0.05) as steps:
        until(lambda: len(steps) > 2)


def test_it_rests_while_nobody_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """One step a version: on PostgreSQL who writes in the cluster's other databases counts, too."""
    versions: list[str] = []
    ask = loop.data_version.version
    monkeypatch.setattr(loop.data_version, "version", lambda: (versions.append(ask()), versions[-1])[1])
    with going(monkeypatch, idle=600) as steps:
        until(lambda: len(versions) > 10)
        assert 1 <= len(steps) <= len(list(groupby(versions)))
        assert connection.vendor == "postgresql" or len(steps) == 1
