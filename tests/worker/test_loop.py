"""The worker works as soon as somebody writes something, and rests while nobody does."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import pytest
from django.db import connection

from finetune_portal.queue import data_version
from finetune_portal.worker import loop
from finetune_portal.worker.tasks import PeriodicTask
from tests.people import person
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def going(monkeypatch: pytest.MonkeyPatch, idle: float) -> Iterator[list[int]]:
    """A worker with one task; the list grows with each step."""
    steps: list[int] = []

    def count() -> bool:
        steps.append(1)
        return False

    task = PeriodicTask("count", count, pause=0.01, idle=idle)
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


def test_a_signal_stops_it_whatever_the_main_thread_is_doing() -> None:
    """Even while that thread holds the lock of the event: once in some hundred stops."""
    code = (
        "import os, signal; from finetune_portal.worker.stop_signals import stop_event; stop = stop_event()\n"
        "with stop._cond: os.kill(os.getpid(), signal.SIGTERM)\n"
        "assert stop.wait(60)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=60)


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
    ask = data_version.version

    def version() -> str:
        versions.append(ask())
        return versions[-1]

    monkeypatch.setattr(data_version, "version", version)
    with going(monkeypatch, idle=600) as steps:
        until(lambda: len(versions) > 10)
        assert 1 <= len(steps) <= len(list(groupby(versions)))
        assert connection.vendor == "postgresql" or len(steps) == 1
