"""The fake Replicate, with the trainer that is a prediction; the other takes no learning rate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from finetune_portal.providers.contract import Account, Handle, JobRequest, Phase
from finetune_portal.providers.http import paid_run
from finetune_portal.providers.replicate import PROVIDER, ReplicateAdapter
from tests.provider import Answer, says
from tests.provider.pairs import packed
from tests.providers.suite.subject import SOME_ZIP, Call, Subject
from tests.replicate.calls import PRUNA
from tests.replicate.ledger import Job
from tests.replicate.models import MODELS
from tests.replicate.server import FakeReplicate
from tests.replicate.switches import Failure

NAMES = {
    Call.SUBMIT: "submit",
    Call.POLL: "status",
    Call.FIND: "history",
    Call.UPLOAD: "upload",
    Call.FILE: "delivery",
    Call.GENERATE: "submit",
}
STATUS = {Phase.REQUESTED: "starting", Phase.TRAINING: "processing"}
WITHOUT_KEY = ("download", "delivery")


@contextmanager
def started(request: pytest.FixtureRequest) -> Iterator[Replicate]:
    request.getfixturevalue("monkeypatch").setattr(paid_run, "FIRST_PAUSE", 0.01)
    with FakeReplicate() as fake:
        fake.steps = ("starting",)
        yield Replicate(fake)


class Replicate(Subject):
    title = "Replicate"
    phases = PROVIDER.phases
    usual = {"trainer": PRUNA, "learning_rate": 1e-4, "steps": 500}
    dataset = packed()
    stores_with_the_key = True

    def __init__(self, fake: FakeReplicate) -> None:
        self.fake = fake
        super().__init__(Account({"api": fake.api_url}, fake.key))

    def make(self, account: Account, **options: Any) -> ReplicateAdapter:
        return ReplicateAdapter(account, **options)

    def request(self, **fields: Any) -> JobRequest:
        """With the nonce in the address of the dataset, as there is no other place for it."""
        nonce = fields.get("nonce", self.nonce)
        return super().request(**{"dataset": f"{SOME_ZIP}?{nonce}", **fields})

    def jobs(self, nonce: str) -> int:
        return len(self.fake.jobs_by_nonce(nonce))

    def generations(self) -> int:
        return sum(not MODELS[job.model].is_trainer for job in self.fake.jobs)

    def sent(self, call: Call) -> int:
        requests = self.fake.sent(NAMES[call])
        if call not in (Call.SUBMIT, Call.GENERATE):
            return len(requests)
        is_generation = call is Call.GENERATE
        return sum((each.path != "/v1/predictions") is is_generation for each in requests)

    def shown(self) -> Iterator[bytes]:
        for request in self.fake.requests:
            own = {} if self.fake.name_of(request) in WITHOUT_KEY else {"authorization": ""}
            headers = "".join({**request.headers, **own}.values())
            yield f"{request.path} {request.query} {headers}".encode() + request.body

    def script(self, call: Call, *answers: Answer) -> None:
        self.fake.script(NAMES[call], *answers)

    def answer_all(self, answer: Answer) -> None:
        for name in self.fake.names:
            self.fake.script(name, *[answer] * 60)

    def answer_rightly(self) -> None:
        self.fake.unscript()

    def stop(self) -> None:
        self.fake.stop()

    def start(self) -> None:
        self.fake.start()

    def list_late(self) -> None:
        self.fake.history_late = 1

    def unknown_handle(self) -> Handle:
        url = f"{self.fake.api_url}/predictions/unknown"
        return Handle("unknown", {"get": url, "cancel": f"{url}/cancel"})

    def move(self, handle: Handle, phase: Phase) -> None:
        self.fake.move(self._job(handle), STATUS[phase])

    def finish(self, handle: Handle) -> None:
        self.fake.finish(self._job(handle))

    def failed(self) -> tuple[Handle, str]:
        handle = self.started()
        self.fake.fail(self._job(handle), Failure("Out of memory"))
        return handle, "Out of memory"

    def odd_status(self, handle: Handle, status: str, **fields: Any) -> Answer:
        return says(200, {"status": status, **fields})

    def generates_at_once(self) -> None:
        self.fake.steps = ("starting", "succeeded")

    def _job(self, handle: Handle) -> Job:
        job = self.fake.job(handle.id)
        assert job
        return job
