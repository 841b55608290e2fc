"""FakeReplicate: one port that answers as Replicate's API does, and serves the files of results.

    with FakeReplicate() as replicate:
        adapter = an adapter of replicate.api_url with replicate.key
        replicate.loses_answer = True  # `switches.py` has all that can go wrong
        assert len(replicate.jobs) == 1 and len(replicate.sent("submit")) == 1

A new job goes on by one state with each status call, as `steps` has them; a test moves it by `move`,
`finish`, `fail`, or by its attributes. Its dataset is read and judged when it begins to run.
"""

from __future__ import annotations

from tests.provider.exchange import Answer, Request, breaks, says
from tests.provider.fake import HTML, Fake
from tests.replicate import webhooks
from tests.replicate.answers import not_found, problem
from tests.replicate.ledger import Job, Ledger
from tests.replicate.routes import NAMES, Call, call_of

KEY = "r8_a-secret-of-the-fake-replicate"


class FakeReplicate(Ledger, Fake):
    """One account at one fake. It can be stopped and started again: ledger and port stay.

    `key` may be changed: the old one is refused then.
    """

    names = NAMES

    def __init__(self) -> None:
        Fake.__init__(self)
        self.clear()

    def clear(self) -> None:
        Ledger.clear(self)
        Fake.clear(self)
        self.key, self.username = KEY, "a-team"
        self.deliveries: list[webhooks.Delivery] = []
        self.webhook_secret = webhooks.new_secret()

    @property
    def api_url(self) -> str:
        return f"{self.url}/v1"

    def name_of(self, request: Request) -> str:
        meant = call_of(request)
        return meant[0].name if meant else ""

    def rotate_webhook_key(self) -> None:
        """A new secret signs from now on."""
        self.webhook_secret = webhooks.new_secret()

    def deliver(self, job: Job) -> webhooks.Delivery:
        """Send the webhook of a job, now and once more."""
        return webhooks.deliver(self, job)

    def ended(self, job: Job) -> None:
        """Send the webhook beside, as often and as late as the switches say."""
        if job.webhook and "completed" in (job.webhook_events or ("completed",)):
            self.send_beside(lambda: webhooks.deliver(self, job), self.webhook_times, self.webhook_delay)

    def answer(self, request: Request) -> Answer:
        meant = call_of(request)
        if meant is None:
            return not_found()
        call, asked = meant
        if error := self._key_error(call, request) or self._outage(call):
            return error
        if call.name == "submit" and self.loses_request:
            return breaks(taken=False)
        answer = call.answer(self, asked)
        if call.name == "submit" and self.loses_answer:
            return breaks(taken=True)
        return self.answer_with_unknown_fields(answer)

    def _key_error(self, call: Call, request: Request) -> Answer | None:
        if not call.has_key or request.headers.get("authorization") == f"Bearer {self.key}":
            return None
        return problem(401, "Unauthenticated", "You did not pass a valid authentication token")

    def _outage(self, call: Call) -> Answer | None:
        if call.name in self.locked_on:
            return problem(402, "Insufficient credit", self.locked_reason)
        if call.name in self.busy_on:
            wait = {} if self.busy_seconds is None else {"Retry_After": str(self.busy_seconds)}
            return problem(429, "Too many requests", "Request was throttled.", headers=wait)
        if call.name in self.html_errors_on:
            return says(503, HTML, Content_Type="text/html")
        return None
