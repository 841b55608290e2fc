"""Segmind: a list of all jobs, and hooks that knock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from finetune_portal.connections import client
from finetune_portal.connections.services import built_in
from finetune_portal.jobs.models import Job
from finetune_portal.providers.segmind import SegmindClient
from tests.faults.portal import Portal
from tests.faults.proxy import CUTS, POINTS, Fault
from tests.faults.targets import Case, Target
from tests.provider import CALLS, KEY, ScriptedProvider, breaks, says
from tests.provider import Job as Paid

CONDITIONS = ("fine", "lost", "never", "error", "busy", "late", "down", "tells")
ANSWERED = ("submit", "list", "details", "presigned_url", "upload")
BEYOND = ("extra", "progress", "cancel")  # the vendor's API; asked where the provider `tells`
LATE_LISTS = 3


@dataclass
class Books:
    """Those of the scripted provider."""

    fake: ScriptedProvider

    @property
    def jobs(self) -> list[Paid]:
        return self.fake.jobs

    @property
    def stored(self) -> dict[str, bytes]:
        return self.fake.stored

    @property
    def submits(self) -> list[str]:
        return [str(each.json["name"])[-8:] for each in self.fake.sent("submit")]


class Segmind(Target):
    name = "segmind"
    web_writes = 6
    calls = ("submit", "list", "details", "upload")
    knocks = True
    ways = 200
    kills = dict.fromkeys(product(("worker", "digest"), CONDITIONS), 1)

    def fake(self) -> ScriptedProvider:
        fake = ScriptedProvider()
        fake.states = ("REQUESTED", "TRAINING_INITIATED", "AVAILABLE")
        return fake

    def call_of(self, method: str, target: str) -> str:
        path = urlsplit(target).path
        if path.startswith("/storage/"):
            return "upload" if method == "PUT" else "fetch"
        return CALLS.get((method, path), "unknown")

    def settings(self, url: str) -> dict[str, Any]:
        return {"SEGMIND_BASE_URL": url, "SEGMIND_API_KEY": KEY}

    def be_impatient(self, seconds: float) -> None:
        wanted = (settings.SEGMIND_BASE_URL, settings.SEGMIND_API_KEY)
        patient = SegmindClient(*wanted, max_seconds=seconds)
        client._local.clients = {built_in().pk: (wanted, patient)}

    def ledger(self, fake: ScriptedProvider) -> Books:
        return Books(fake)

    def rounds(self, condition: str) -> int:
        return 4 if condition == "down" else 1

    def upset(self, portal: Portal, condition: str) -> None:
        fake = portal.provider
        if condition in ("lost", "late"):
            fake.script("submit", breaks("close", taken=True))
        elif condition == "never":
            fake.script("submit", breaks("close", taken=False))
        elif condition == "error":
            fake.script("submit", says(500, b"<html>Sorry</html>", taken=True))
        elif condition == "busy":
            fake.script("submit", says(429, {"error": "slow down"}, Retry_After="2"))
        elif condition == "down":
            portal.proxy.down()
        elif condition == "tells":
            self.loosen(fake)
        if condition == "late":
            fake.late = LATE_LISTS

    def go_on(self, portal: Portal, case: Case) -> list[int]:
        """Hooks knock twice for each job, out of order, with a wrong state, and once for a stranger."""
        if case.condition == "tells":
            portal.cancel(Job.objects.earliest("pk"))
        ids = [paid.id for paid in portal.provider.jobs]
        events = [{"finetune_id": each, "status": "FAILED"} for each in [*ids[::-1], "of-nobody", *ids]]
        portal.knock(*events)
        return [portal.work(case.killer("digest"), rounds=3)] if case.stage == "digest" else []

    def heal(self, portal: Portal) -> None:
        portal.provider.unscript()

    def loosen(self, fake: ScriptedProvider) -> None:
        fake.can = ("progress", "cancel")

    def show_late(self, fake: ScriptedProvider, looks: int) -> None:
        fake.late = looks

    def show_all(self, fake: ScriptedProvider) -> None:
        for paid in fake.jobs:
            paid.hidden = 0

    def sample(self) -> tuple[Case, ...]:
        return SAMPLE

    def harms(self) -> Iterator[Case]:
        for call in ANSWERED:
            stage = "digest" if call == "details" else "worker"  # a hook has the details asked for
            yield from (Case(stage, fault=Fault(call, action, point)) for action in CUTS for point in POINTS)
            yield from (Case(stage, fault=Fault(call, action)) for action in ("late", "slow", "garbage"))
            yield from (Case(stage, fault=Fault(call, "flip", share=at / 12)) for at in range(13))
        yield from (Case(fault=Fault("upload", "flip-request", share=at / 6)) for at in range(7))
        for call, action in product(BEYOND, (*CUTS, "garbage")):
            yield Case("digest", "tells", fault=Fault(call, action, "taken"))


SAMPLE = (
    Case("web", at=1, fault=Fault("submit", "hang", "status")),
    Case("web", at=3, after=True, fault=Fault("submit", "reset", "sending")),
    Case("worker", "late", fault=Fault("submit", "kill", "taken")),
    Case(fault=Fault("list", "close", "taken")),
    Case(fault=Fault("presigned_url", "garbage")),
    Case(fault=Fault("upload", "flip-request", share=0.5)),
    Case("worker", "fine", at=9),
    Case("worker", "lost", at=12, after=True),
    Case("digest", "never", at=3, fault=Fault("details", "late")),
    Case("digest", "error", at=2, after=True, fault=Fault("details", "flip", share=0.5)),
    Case("worker", "busy", at=8),
    Case("digest", "late", at=4, after=True),
    Case("worker", "down", at=3, after=True),
    Case("digest", "tells", at=6, fault=Fault("details", "slow")),
)
SEGMIND = Segmind()
