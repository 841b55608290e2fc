"""The fake fal."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from finetune_portal.providers.contract import Account, Handle, Phase
from finetune_portal.providers.fal import PROVIDER, FalAdapter
from finetune_portal.providers.fal.handles import built_handle
from finetune_portal.providers.http import paid_run
from tests.fal.calls import KLEIN, packed
from tests.fal.ledger import Job
from tests.fal.routes import NAMES
from tests.fal.server import FakeFal
from tests.fal.switches import Failure
from tests.fal.trainers import ENDPOINTS
from tests.provider import Answer, says
from tests.providers.suite.subject import Call, Subject

CALLS = {
    Call.POLL: "status",
    Call.FIND: "history",
    Call.UPLOAD: "upload",
    Call.FILE: "download",
    Call.SUBMIT: "submit",
    Call.GENERATE: "submit",
}
STATUS = {Phase.REQUESTED: "IN_QUEUE", Phase.TRAINING: "IN_PROGRESS"}


@contextmanager
def started(request: pytest.FixtureRequest) -> Iterator[Fal]:
    request.getfixturevalue("monkeypatch").setattr(paid_run, "FIRST_PAUSE", 0.01)
    with FakeFal() as fal:
        fal.steps, fal.history_shows_running = ("IN_QUEUE",), True
        yield Fal(fal)


class Fal(Subject):
    title = "fal"
    phases = PROVIDER.phases
    usual = {"trainer": KLEIN, "learning_rate": 5e-5, "steps": 500}
    dataset = packed()

    def __init__(self, fal: FakeFal) -> None:
        self.fal = fal
        addresses = {"queue": fal.queue_url, "rest": fal.rest_url, "cdn": fal.cdn_url, "api": fal.api_url}
        super().__init__(Account(addresses, fal.key, fal.admin_key))

    def make(self, account: Account, **options: Any) -> FalAdapter:
        return FalAdapter(account, **options)

    def jobs(self, nonce: str) -> int:
        return len(self.fal.jobs_by_nonce(nonce))

    def generations(self) -> int:
        return sum(not ENDPOINTS[job.endpoint].is_trainer for job in self.fal.jobs)

    def sent(self, call: Call) -> int:
        requests = self.fal.sent(CALLS[call])
        if call not in (Call.SUBMIT, Call.GENERATE):
            return len(requests)
        is_training = call is Call.SUBMIT
        return sum(ENDPOINTS[each.path.strip("/")].is_trainer is is_training for each in requests)

    def shown(self) -> Iterator[bytes]:
        for request in self.fal.requests:
            is_of_the_key = request.service in ("queue", "rest", "api") and "jwks" not in request.path
            own = {"authorization": ""} if is_of_the_key else {}
            headers = "".join({**request.headers, **own}.values())
            yield f"{request.path} {request.query} {headers}".encode() + request.body

    def script(self, call: Call, *answers: Answer) -> None:
        self.fal.script(CALLS[call], *answers)

    def answer_all(self, answer: Answer) -> None:
        for name in NAMES - {"jwks"}:
            self.fal.script(name, *[answer] * 60)

    def answer_rightly(self) -> None:
        self.fal._answers.clear()

    def stop(self) -> None:
        self.fal.stop()

    def start(self) -> None:
        self.fal.start()

    def list_late(self) -> None:
        self.fal.history_late = 1

    def unknown_handle(self) -> Handle:
        return built_handle(self.fal.queue_url, KLEIN, str(uuid.uuid4()))

    def move(self, handle: Handle, phase: Phase) -> None:
        self.fal.move(self._job(handle), STATUS[phase])

    def finish(self, handle: Handle) -> None:
        self.fal.finish(self._job(handle))

    def failed(self) -> tuple[Handle, str]:
        handle = self.started()
        self.fal.fail(self._job(handle), Failure(detail="The runner disconnected."))
        return handle, "The runner disconnected."

    def odd_status(self, handle: Handle, status: str, **fields: Any) -> Answer:
        return says(202, {"status": status, **fields})

    def generates_at_once(self) -> None:
        self.fal.steps = ("IN_QUEUE", "COMPLETED")

    def _job(self, handle: Handle) -> Job:
        job = self.fal.job(handle.id)
        assert job
        return job
