"""A fake of an API with a table of calls: records requests, answers rightly or as a test scripts it."""

from __future__ import annotations

import json
import threading
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

from tests.provider.exchange import Answer, Request
from tests.provider.hosted import Hosted

# The page of a proxy before the provider.
HTML = b"<html><head><title>503 Service Temporarily Unavailable</title></head><body><hr>nginx</body></html>"
UNKNOWN_FIELD = ("added_in_2027", {"nested": [1, None, "text"]})


class Fake(Hosted):
    """Override `read`, `name_of`, `answer` and `names`. `clear` forgets what was sent and scripted."""

    names: frozenset[str] = frozenset()  # of the calls
    has_unknown_fields: bool

    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.RLock()
        self._senders: list[threading.Thread] = []

    def clear(self) -> None:
        self.requests: list[Any] = []
        self._answers: defaultdict[str, deque[Answer]] = defaultdict(deque)

    def read(self, raw: Request, scheme: str) -> Request:
        """The request as the fake sees it."""
        return raw

    def name_of(self, request: Any) -> str:
        """The name of the call that this request is; empty for what the provider does not have."""
        raise NotImplementedError

    def answer(self, request: Any) -> Answer:
        """Carry a request out."""
        raise NotImplementedError

    def script(self, call: str, *answers: Answer) -> None:
        """The next answers to a call (one of `names`), in this order, instead of the right ones."""
        assert call in self.names, call
        with self.lock:
            self._answers[call].extend(answers)

    def unscript(self) -> None:
        """Answer rightly again."""
        with self.lock:
            self._answers.clear()

    def sent(self, call: str) -> list[Any]:
        """The requests of this call, oldest first."""
        return [each for each in list(self.requests) if self.name_of(each) == call]

    def receive(self, raw: Request, scheme: str = "http") -> tuple[Answer, bytes]:
        """Record a request, carry it out if it is to be, and return the answer and the right body."""
        request = self.read(raw, scheme)
        name = self.name_of(request)
        with self.lock:
            self.requests.append(request)
            scripted = self._answers[name].popleft() if self._answers[name] else None
        if scripted and not scripted.taken:
            return scripted, b""
        right = self.answer(request)
        if scripted is None or right.status >= 400:
            return right, b""
        return scripted, right.body or b""

    def send_beside(self, send: Callable[[], object], times: int, delay: float) -> None:
        """Send something in a thread of its own, so often, each time after so many seconds."""

        def run() -> None:
            for _ in range(times):
                if not self.stopping.wait(delay):
                    send()

        self._senders.append(threading.Thread(target=run))
        self._senders[-1].start()

    def join(self) -> None:
        for sender in self._senders:
            sender.join()

    def answer_with_unknown_fields(self, answer: Answer) -> Answer:
        kind = answer.headers.get("Content-Type", "application/json")
        if not self.has_unknown_fields or kind != "application/json" or not answer.body:
            return answer
        body = json.dumps(self.with_unknown_fields(json.loads(answer.body))).encode()
        return Answer(answer.status, body, answer.headers, answer.delay, answer.ending, answer.taken)

    def with_unknown_fields(self, value: Any) -> Any:
        """The same with a field more in each object, if the switch says so."""
        if not self.has_unknown_fields:
            return value
        if isinstance(value, dict):
            return {name: self.with_unknown_fields(inner) for name, inner in value.items()} | dict(
                [UNKNOWN_FIELD]
            )
        return [self.with_unknown_fields(inner) for inner in value] if isinstance(value, list) else value
