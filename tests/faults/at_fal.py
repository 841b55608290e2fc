"""fal: no list of jobs, a call for each, a history that may be late or have holes, webhooks and bills."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.timezone import now

from finetune_portal.connections import capabilities
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import SEGMIND, Connection
from finetune_portal.costs.models import Budget
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.providers.fal import PROVIDER, FalAdapter
from finetune_portal.providers.registry import PROVIDERS
from tests.fal import webhooks
from tests.fal.calls import KLEIN
from tests.fal.request import FalRequest
from tests.fal.routes import call_of
from tests.fal.server import HTML, KEY, FakeFal
from tests.fal.switches import Failure
from tests.faults import fal_books
from tests.faults.portal import Portal, pass_time
from tests.faults.proxy import CUTS, POINTS, Fault
from tests.faults.targets import WHOLE, Case, Target
from tests.provider import Request, breaks, says

# How many rounds the worker lives in each condition before anything else happens.
ROUNDS = {
    "fine": 8,  # to the end
    "back": 8,  # IN_QUEUE after IN_PROGRESS
    "fails": 8,  # COMPLETED with an error
    "quiet": 8,  # COMPLETED, and only the result says that it failed
    "bill": 8,  # the bill comes late
    "budget": 4,  # the first of two jobs is refused, the second waits for an approval
    "cancel": 1,  # a person cancels one
    "lost": 2,  # the answer of a submit; the history shows the job when it has ended
    "late": 2,  # so, and the history is late
    "hole": 2,  # so, and the history never shows it
    "hook": 2,  # so, and a webhook does
    "resent": 2,  # so, and a person has it sent again before it ends
    "given up": 2,  # so, and a person closes it before it ends
    "never": 2,  # the submit itself is lost
    "error": 2,  # 500 to a submit that was taken
    "page": 2,  # 503 of a proxy to one that was not
    "busy": 3,  # 429 that names a pause
    "crowded": 3,  # 429 that does not
    "locked": 2,  # the account, for submits
    "halted": 3,  # the account, for everything after the submit
    "closed": 2,  # the trainer
    "down": 4,
}
LOST = ("lost", "late", "hole", "hook", "resent", "given up")
UNDECIDED = ("hole", "resent", "given up")  # each needs a person
LATER = {"budget": 8, "fine": 6, "cancel": 8, "lost": 6, "late": 6, "hook": 6, "resent": 20, "given up": 20}
PORTAL_URL = "https://portal.example.com"  # one that fal may send webhooks to
CLOSED = says(410, {"detail": "This endpoint is deprecated and takes no new jobs."})
REFUSED = says(422, {"detail": "no"})
BUDGET = Decimal(6)  # USD, for jobs of 4
AFTER_SUBMIT = ("status", "result", "history")
BEFORE_THE_END = ("token", "upload", "pricing", "sign", "submit", "status", "result")
LATE_LISTS = 3
STRIDE = 8  # most writes of a condition are those of the others: together they are killed at each


class Fal(Target):
    name = "fal"
    form = {"trainer": KLEIN, "steps": "500"}
    web_writes = 6
    calls = (*BEFORE_THE_END, "history")
    kills = (
        {("worker", condition): STRIDE for condition in ROUNDS}
        | {("later", condition): STRIDE for condition in LATER}
        | {("worker", condition): 1 for condition in ("fine", "budget")}
        | {("later", condition): 1 for condition in ("budget", "fine", "cancel", "lost", "hook")}
    )

    def fake(self) -> FakeFal:
        """No webhook goes by itself: `go_on` brings them."""
        fal = FakeFal()
        fal.webhook_times = 0
        return fal

    def call_of(self, method: str, target: str) -> str:
        parts = urlsplit(target)
        call = call_of(FalRequest.read(Request(method, parts.path, parts.query, {}, b"", 0), "http"))
        return call.name if call else "unknown"

    def settings(self, url: str) -> dict[str, Any]:
        hosts = {"queue": "queue", "rest": "rest", "cdn": "cdn", "api": "api/v1"}
        addresses = {name: f"{url}/{path}" for name, path in hosts.items()}
        return {
            "PROVIDER_KEYS": {"fal": KEY},
            "PROVIDER_ADMIN_KEYS": {},
            "PROVIDER_ADDRESSES": {"fal": addresses},
            "PORTAL_URL": PORTAL_URL,
        }

    def connect(self) -> None:
        """The trainers are known for a day, as they are of a provider that is far away."""
        connections.built_in()
        Connection.objects.filter(provider=SEGMIND).update(disabled_at=now())
        assert capabilities.refresh_next()
        fields = {"is_default": True, "capabilities_due_at": now() + timedelta(days=1), "due_at": now()}
        Connection.objects.filter(provider="fal").update(**fields)

    def prepare(self, portal: Portal, condition: str) -> None:
        """A budget has room for one job. What it costs is billed."""
        if condition == "budget":
            settings.PROVIDER_ADMIN_KEYS = {"fal": portal.provider.admin_key}
            Budget.objects.all().delete()
            fields = {"connection": Connection.objects.get(provider="fal"), "currency": "USD"}
            Budget.objects.create(amount=BUDGET, action=Budget.Action.ASK, **fields)

    def be_impatient(self, seconds: float) -> None:
        PROVIDERS["fal"] = replace(PROVIDER, make_adapter=partial(FalAdapter, max_seconds=seconds))

    def ledger(self, fake: FakeFal) -> fal_books.FalBooks:
        return fal_books.FalBooks(fake)

    def problems(self, portal: Portal) -> Iterator[str]:
        yield from fal_books.problems(portal)

    def rounds(self, condition: str) -> int:
        return ROUNDS[condition]

    def upset(self, portal: Portal, condition: str) -> None:
        fal = portal.provider
        if condition in LOST:
            fal.script("submit", breaks("close", taken=True))
        submits = {
            "never": [breaks("close", taken=False)],
            "error": [says(500, b"<html>Sorry</html>", taken=True)],
            "page": [says(503, HTML, Content_Type="text/html")],
            "busy": [says(429, {"detail": "Too many requests"}, Retry_After="2")],
            "crowded": [says(429, {"detail": "Too many requests"})],
            "closed": [CLOSED, CLOSED],
            "budget": [REFUSED],
        }
        fal.script("submit", *submits.get(condition, []))
        fal.history_late = LATE_LISTS if condition == "late" else 0
        fal.history_hole = condition in ("hole", "hook")
        fal.locked_on = {"locked": ("submit",), "halted": AFTER_SUBMIT}.get(condition, ())
        fal.failure = Failure() if condition in ("fails", "quiet") else None
        fal.status_has_error = condition != "quiet"
        if condition == "back":
            fal.steps = ("IN_QUEUE", "IN_PROGRESS", "IN_QUEUE", "IN_QUEUE", "IN_PROGRESS", "COMPLETED")
        elif condition == "bill":
            settings.PROVIDER_ADMIN_KEYS = {"fal": fal.admin_key}
            fal.script("billing_events", *[says(200, {"billing_events": [], "has_more": False})] * 3)
        elif condition == "down":
            portal.proxy.down()

    def go_on(self, portal: Portal, case: Case) -> list[int]:
        """A person wants the file or cancels; what the portal lost ends, or makes it ask."""
        if case.condition == "fine":
            self._check_files(portal)
        elif case.condition == "budget":
            for job in Job.objects.filter(state=State.APPROVAL):
                portal.approve(job)
        elif case.condition == "cancel":
            portal.cancel(Job.objects.earliest("pk"))
        elif case.condition not in UNDECIDED:
            self._end(portal.provider)
        if case.condition == "hook":
            self._knock(portal)
        rounds = LATER.get(case.condition)
        return [portal.work(case.killer("later"), rounds=rounds)] if rounds else []

    def heal(self, portal: Portal) -> None:
        portal.provider.unscript()
        portal.provider.locked_on = ()

    def show_late(self, fake: FakeFal, looks: int) -> None:
        fake.history_late = looks

    def show_all(self, fake: FakeFal) -> None:
        for job in fake.jobs:
            job.hidden = 0
        self._end(fake)

    def settle(self, portal: Portal, condition: str) -> list[int]:
        """At last all has ended at fal, and the portal looks at its history once more."""
        self._end(portal.provider)
        pass_time(timedelta(minutes=20))
        ends = [portal.work()]
        if condition == "fine":
            self._check_files(portal)
            ends.append(portal.work())
        return ends

    def decision(self, condition: str) -> str:
        return "close" if condition == "given up" else "resend"

    def sample(self) -> tuple[Case, ...]:
        return SAMPLE

    def harms(self) -> Iterator[Case]:
        """No byte is flipped: fal is spoken to over TLS alone, which finds it."""
        places = [("worker", "fine", call) for call in BEFORE_THE_END]
        places += [("worker", "bill", "billing_events"), ("later", "fine", "download")]
        places += [("later", "lost", "history"), ("later", "hook", "jwks"), ("later", "cancel", "cancel")]
        for stage, condition, call in places:
            cuts = [Fault(call, action, point) for action in CUTS for point in POINTS]
            for fault in (*cuts, *(Fault(call, action) for action in ("late", "slow", "garbage"))):
                yield Case(stage, condition, fault=fault)

    def _end(self, fake: FakeFal) -> None:
        """Time passes at fal for what the portal does not ask for."""
        for job in fal_books.strangers(fake):
            fake.finish(job)

    def _knock(self, portal: Portal) -> None:
        """A webhook for each job that has ended, signed by a stranger and then twice by fal."""
        fal = portal.provider
        for job in (job for job in fal.jobs if job.has_ended):
            messages = []
            for fal.webhook_is_forged in (True, False):
                messages.append(webhooks.message(fal, job))
            for headers, body in (*messages, messages[-1]):
                options = {
                    "content_type": headers.pop("Content-Type", "application/json"),
                    "headers": headers,
                }
                assert portal.post("stranger", (urlsplit(job.webhook).path, body), **options) == WHOLE

    def _check_files(self, portal: Portal) -> None:
        for job in Job.objects.filter(state=State.READY, file_sha256=""):
            portal.check_file(job)


SAMPLE = (
    Case("web", at=1, fault=Fault("submit", "hang", "status")),
    Case("web", at=3, after=True, fault=Fault("submit", "reset", "sending")),
    Case("worker", "late", fault=Fault("submit", "kill", "taken")),
    Case(fault=Fault("token", "close", "taken")),
    Case(fault=Fault("upload", "reset", "half")),
    Case(fault=Fault("sign", "garbage")),
    Case("worker", "fine", at=20),
    Case("later", "lost", at=4, after=True),
    Case("later", "cancel", at=8, after=True),
    Case("worker", "bill", fault=Fault("billing_events", "late")),
    Case("worker", "crowded", at=12),
    Case("later", "hook", at=6),
    Case("later", "hook", fault=Fault("jwks", "slow")),
    Case("worker", "hole", fault=Fault("status", "slow")),
    Case("worker", "budget", at=20),
    Case("later", "budget", at=22, after=True),
)
FAL = Fal()
