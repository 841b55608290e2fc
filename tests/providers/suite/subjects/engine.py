"""The local engine as a process of its own, behind a proxy that loses and cuts answers."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from finetune_portal.providers.contract import Account, Handle, Phase
from finetune_portal.providers.segmind import SegmindAdapter, SegmindClient
from finetune_portal.providers.segmind.snapshots import JOB_PHASES
from tests.engine.calling import pairs, zipped
from tests.faults.at_segmind import Segmind
from tests.faults.proxy import Fault, Proxy
from tests.provider import Answer
from tests.providers.suite.subject import Call, Subject
from tests.providers.suite.subjects.segmind import NAMES, USUAL
from tests.running import RunningEngine
from tests.waiting import until

HONEST = "only the proxy before it does harm, and it loses or cuts an answer"


class CountingProxy(Proxy):
    """Counts the exchanges of each call that began."""

    def __init__(self, provider_url: str) -> None:
        super().__init__(provider_url, Segmind().call_of)
        self.seen: Counter[str] = Counter()

    def _due(self, call: str) -> Fault | None:
        self.seen[call] += 1
        return super()._due(call)


@contextmanager
def started(request: pytest.FixtureRequest) -> Iterator[Engine]:
    engine: RunningEngine = request.getfixturevalue("engine")
    with CountingProxy(engine.url) as proxy:
        subject = Engine(engine, proxy)
        yield subject
        subject.close()


class Engine(Subject):
    """The engine of the whole run: jobs of other tests are in its list, and its time is real."""

    title = "Local engine"
    phases = JOB_PHASES
    usual = USUAL
    dataset = zipped(pairs())

    def __init__(self, engine: RunningEngine, proxy: CountingProxy) -> None:
        self.engine, self.proxy = engine, proxy
        self._adapters: list[SegmindAdapter] = []
        super().__init__(Account({"api": proxy.url}, engine.key))

    def make(self, account: Account, **options: Any) -> SegmindAdapter:
        self._adapters.append(SegmindAdapter(account, **options))
        return self._adapters[-1]

    def close(self) -> None:
        for adapter in self._adapters:
            adapter.client.close()

    def jobs(self, nonce: str) -> int:
        with closing(SegmindClient(self.engine.url, self.engine.key)) as client:
            return sum(nonce in each.name for each in client.list())

    def generations(self) -> int:
        return 0  # a simulated model cannot be run

    def sent(self, call: Call) -> int:
        return self.proxy.seen[NAMES[call]]

    def shown(self) -> Iterator[bytes]:
        return iter(())  # it keeps no requests; the client's are looked at where Segmind is tried

    def script(self, call: Call, *answers: Answer) -> None:
        (answer, *others) = answers
        if others or answer.body is not None or answer.ending not in ("close", "reset", "half"):
            self.cannot(HONEST)
        if answer.ending == "half":
            self.proxy.fault = Fault(NAMES[call], "close", "half")
        else:
            self.proxy.fault = Fault(NAMES[call], answer.ending, "taken" if answer.taken else "sending")

    def answer_all(self, answer: Answer) -> None:
        self.cannot(HONEST)

    def answer_rightly(self) -> None:
        self.proxy.fault = None

    def stop(self) -> None:
        self.proxy.down()

    def start(self) -> None:
        self.proxy.up()

    def list_late(self) -> None:
        self.cannot("its list is never late")

    def unknown_handle(self) -> Handle:
        return Handle(str(uuid.uuid4()))

    def move(self, handle: Handle, phase: Phase) -> None:
        self.cannot("its jobs go on by themselves")

    def finish(self, handle: Handle) -> None:
        """It does so by itself."""

    def failed(self) -> tuple[Handle, str]:
        handle = self.started(name="fail-training")
        until(lambda: self.at(handle, Phase.FAILED))
        with closing(SegmindClient(self.engine.url, self.engine.key)) as client:
            return handle, client.details(handle.id).error_message

    def odd_status(self, handle: Handle, status: str, **fields: Any) -> Answer:
        self.cannot(HONEST)

    def generates_at_once(self) -> None:
        self.cannot("a simulated model cannot be run")
