"""Segmind: the scripted provider."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from finetune_portal.providers.contract import Account, Handle, Phase
from finetune_portal.providers.segmind import SegmindAdapter
from finetune_portal.providers.segmind.snapshots import JOB_PHASES
from tests.engine.calling import pairs, zipped
from tests.provider import CALLED, Answer, Job, ScriptedProvider, call_of, says
from tests.providers.suite.subject import Call, Subject

NAMES = {
    Call.SUBMIT: "submit",
    Call.POLL: "details",
    Call.FIND: "list",
    Call.UPLOAD: "upload",
    Call.FILE: "fetch",
    Call.GENERATE: "run",
}
STATUS = {Phase.REQUESTED: "REQUESTED", Phase.TRAINING: "TRAINING_INITIATED"}
WITHOUT_KEY = ("upload", "fetch", "picture")
USUAL = {"trainer": "flux-kontext", "learning_rate": 1e-4, "steps": 300}


@contextmanager
def started(request: pytest.FixtureRequest) -> Iterator[Segmind]:
    with ScriptedProvider() as provider:
        provider.states = ("REQUESTED",)
        subject = Segmind(provider)
        yield subject
        subject.close()


class Segmind(Subject):
    title = "Segmind"
    phases = JOB_PHASES
    usual = USUAL
    dataset = zipped(pairs())

    def __init__(self, provider: ScriptedProvider) -> None:
        self.provider = provider
        self._adapters: list[SegmindAdapter] = []
        super().__init__(Account({"api": provider.url}, provider.key))

    def make(self, account: Account, **options: Any) -> SegmindAdapter:
        self._adapters.append(SegmindAdapter(account, **options))
        return self._adapters[-1]

    def close(self) -> None:
        for adapter in self._adapters:
            adapter.client.close()

    def jobs(self, nonce: str) -> int:
        return sum(nonce in job.name for job in self.provider.jobs)

    def generations(self) -> int:
        return len(self.provider.runs)

    def sent(self, call: Call) -> int:
        return len(self.provider.sent(NAMES[call]))

    def shown(self) -> Iterator[bytes]:
        for request in self.provider.requests:
            own = {} if call_of(request) in WITHOUT_KEY else {"x-api-key": ""}
            headers = "".join({**request.headers, **own}.values())
            yield f"{request.path} {request.query} {headers}".encode() + request.body

    def script(self, call: Call, *answers: Answer) -> None:
        self.provider.script(NAMES[call], *answers)

    def answer_all(self, answer: Answer) -> None:
        for name in CALLED:
            self.provider.script(name, *[answer] * 60)

    def answer_rightly(self) -> None:
        self.provider.unscript()

    def stop(self) -> None:
        self.provider.stop()

    def start(self) -> None:
        self.provider.start()

    def list_late(self) -> None:
        self.provider.late = 1

    def unknown_handle(self) -> Handle:
        return Handle(str(uuid.uuid4()))

    def move(self, handle: Handle, phase: Phase) -> None:
        self._job(handle).status = STATUS[phase]

    def finish(self, handle: Handle) -> None:
        self._job(handle).status = "AVAILABLE"

    def failed(self) -> tuple[Handle, str]:
        handle = self.started()
        job = self._job(handle)
        job.status, job.error_message = "FAILED", "The dataset is empty."
        return handle, "The dataset is empty."

    def odd_status(self, handle: Handle, status: str, **fields: Any) -> Answer:
        return says(200, {"finetune": {"id": handle.id, "status": status, **fields}})

    def generates_at_once(self) -> None:
        """They always do."""

    def _job(self, handle: Handle) -> Job:
        job = self.provider.job(handle.id)
        assert job
        return job
