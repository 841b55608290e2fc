"""A storm of webhooks on the real web process: `python -m pytest -s tests/bench/hooks.py`.

A hundred a second for a minute: news, the same again, old news, forgeries, odd shapes and wrong addresses, in
any order, while the worker digests them. The list is asked for once and then only in an hour, so a
lost hook would show as a state that is not the provider's. Latency counts from when each hook was due;
beside it stands that of calls to /healthz in between, which is what the machine itself takes.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import requests

from finetune_portal.jobs.models import Job
from finetune_portal.webhooks.models import Delivery
from tests.faults.conftest import workshop as workshop
from tests.faults.portal import Workshop
from tests.faults.processes import web_and_worker
from tests.provider import KEY, ScriptedProvider
from tests.waiting import until

SECONDS, RATE, THREADS = 60, 100, 24
JOBS, HELD = 60, 10  # the held ones stay in training, whatever is claimed of them
STATES = (
    "REQUESTED",
    "DATA_PROCESSING",
    "TRAINING_INITIATED",
    "TRAINING_COMPLETED",
    "DEPLOYING",
    "AVAILABLE",
)
TRAINING = STATES.index("TRAINING_INITIATED")
KINDS = ("news",) * 4 + ("again", "again", "old", "forged", "odd", "astray")
Results = list[tuple[int, float]]


@dataclass
class Storm:
    fake: ScriptedProvider
    url: str
    hook: str
    chance: random.Random = field(default_factory=lambda: random.Random(3))
    events: list[dict[str, str]] = field(default_factory=list)
    beside: Results = field(default_factory=list)
    mine: threading.local = field(default_factory=threading.local)

    def blow(self) -> Results:
        """Answers the status of each call and how late its answer came."""
        total, began = SECONDS * RATE, time.monotonic() + 0.5
        with ThreadPoolExecutor(THREADS) as storm, ThreadPoolExecutor(4) as calm:
            beside = [calm.submit(self._call, "GET", "/healthz", began + n / 10) for n in range(SECONDS * 10)]
            sent = [storm.submit(self._send, n / total, began + n / RATE) for n in range(total)]
        self.beside = [each.result() for each in beside]
        return [each.result() for each in sent]

    def _send(self, share: float, due: float) -> tuple[int, float]:
        wait_until(due)
        path, body = self._hook(share)
        return self._call("POST", path, due, json=body)

    def _call(self, method: str, path: str, due: float, **options: Any) -> tuple[int, float]:
        wait_until(due)
        if not hasattr(self.mine, "session"):
            self.mine.session = requests.Session()
        status = self.mine.session.request(method, self.url + path, timeout=30, **options).status_code
        return status, time.monotonic() - due

    def _hook(self, share: float) -> tuple[str, dict[str, Any]]:
        kind = self.chance.choice(KINDS)
        if kind == "astray":
            return f"/hooks/segmind/{'x' * 43}/", {"finetune_id": "any", "status": "AVAILABLE"}
        if kind == "forged":
            return self.hook, {"finetune_id": self.fake.jobs[-1].id, "status": "AVAILABLE"}
        if kind in ("again", "old") and self.events:
            return self.hook, self.events[-1] if kind == "again" else self.chance.choice(self.events)
        event = self._news(share)
        return self.hook, {"data": {**event, "status": ["?"]}} if kind == "odd" else event

    def _news(self, share: float) -> dict[str, str]:
        """The provider goes on with a training and says so; towards the end all are told of once more."""
        at = self.chance.randrange(JOBS)
        paid, last = self.fake.jobs[at], TRAINING if at >= JOBS - HELD else len(STATES) - 1
        paid.status = STATES[min(last, max(STATES.index(paid.status), int(share * 8)))]
        event = {"finetune_id": paid.id, "status": paid.status}
        self.events.append(event)
        return event

    def wrong(self) -> int:
        """How many trainings are shown in a state that is not the provider's."""
        shown = dict(Job.objects.values_list("request_id", "provider_status"))
        return sum(shown.get(paid.id) != paid.status for paid in self.fake.jobs)


def test_storm(workshop: Workshop) -> None:
    with ScriptedProvider() as fake:
        fake.states = ("REQUESTED",)
        for number in range(JOBS):
            fake.adds(f"hats {number}")
        environment = {"SEGMIND_BASE_URL": fake.url, "SEGMIND_API_KEY": KEY, "POLL_SECONDS": "3600"}
        with web_and_worker(workshop, workshop.root / "running", **environment) as running:
            until(lambda: Job.objects.count() == JOBS)
            storm = Storm(fake, running.url, workshop.hook)
            results = storm.blow()
            ended = time.monotonic()
            until(
                lambda: not Delivery.objects.filter(processed_at=None).exists() and not storm.wrong(),
                seconds=60,
            )
            report(storm, results, time.monotonic() - ended)


def wait_until(due: float) -> None:
    time.sleep(max(0.0, due - time.monotonic()))


def latency(results: Results) -> str:
    late = sorted(took * 1000 for _, took in results)
    half, most = late[len(late) // 2], late[len(late) * 99 // 100]
    return f"p50 {half:.1f} ms, p99 {most:.1f} ms, slowest {late[-1]:.0f} ms"


def report(storm: Storm, results: Results, lag: float) -> None:
    statuses = Counter(status for status, _ in results)
    held = [paid.id for paid in storm.fake.jobs[-HELD:]]
    believed = Job.objects.filter(request_id__in=held, events__state="ready").count()
    calls = Counter(request.path.rsplit("/", 1)[-1] for request in storm.fake.requests)
    lines = (
        f"{len(results)} hooks in {SECONDS} s, statuses {dict(statuses)}",
        f"a hook:   {latency(results)}",
        f"/healthz: {latency(storm.beside)}",
        f"{Delivery.objects.count()} stored of {statuses[200]} accepted, the last digested after {lag:.1f} s",
        f"{JOBS - storm.wrong()} of {JOBS} trainings in their true state, {believed} forgeries believed",
        f"calls to the provider: {dict(calls)}",
    )
    sys.stdout.write("\n" + "\n".join(lines) + "\n")
    assert set(statuses) == {200, 404}
    assert Delivery.objects.count() == statuses[200]
    assert (storm.wrong(), believed) == (0, 0)
