"""FakeFal: one port that answers as fal's four hosts do, over plain HTTP, TLS, or as the proxy of a client.

    with FakeFal() as fal:
        adapter = an adapter of fal.queue_url, fal.rest_url, fal.cdn_url, fal.api_url with fal.key
        fal.loses_answer = True  # `switches.py` has all that can go wrong
        assert len(fal.jobs) == 1 and len(fal.sent("submit")) == 1

A new job goes on by one state with each status call, as `steps` has them; a test moves it by `fal.move`,
`fal.finish`, `fal.fail`, or by its attributes. Its dataset is read and judged when it begins to run.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from tests.fal import webhooks
from tests.fal.connections import Handler, tls_context
from tests.fal.ledger import Job, Ledger
from tests.fal.request import FalRequest, detail, platform_error
from tests.fal.routes import NAMES, Call, call_of
from tests.provider.exchange import Answer, Request, breaks, says
from tests.provider.fake import HTML, Fake

__all__ = ["ADMIN_KEY", "HTML", "KEY", "FakeFal"]

KEY = "11111111-2222-3333-4444-555555555555:a-secret-of-the-fake-fal"
ADMIN_KEY = "99999999-8888-7777-6666-555555555555:an-admin-secret-of-the-fake-fal"


class FakeFal(Ledger, Fake):
    """One account at one fake. It can be stopped and started again: ledger and port stay.

    `key` and `admin_key` may be changed: the old ones are refused then. With `certificate`, a PEM file that
    has its key, the port also speaks TLS and ends the tunnels of a CONNECT proxy, whatever host they name.
    """

    handler = Handler
    names = frozenset(NAMES)

    def __init__(self, certificate: Path | None = None) -> None:
        Fake.__init__(self)
        Ledger.__init__(self)
        self.tls = tls_context(certificate) if certificate else None

    def clear(self) -> None:
        Ledger.clear(self)
        Fake.clear(self)
        self.key, self.admin_key = KEY, ADMIN_KEY
        self.tunnels: list[str] = []  # the hosts, with port, that a client asked the proxy for
        self.deliveries: list[webhooks.Delivery] = []
        self.webhook_keys = [webhooks.new_key()]  # the JWKS has all, the last signs

    @property
    def url(self) -> str:
        """The port; with a certificate it is spoken to over TLS."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self._port}"

    @property
    def proxy_url(self) -> str:
        """For HTTPS_PROXY."""
        return f"http://127.0.0.1:{self._port}"

    queue_url = property(lambda self: f"{self.url}/queue")
    rest_url = property(lambda self: f"{self.url}/rest")
    cdn_url = property(lambda self: f"{self.url}/cdn")
    api_url = property(lambda self: f"{self.url}/api/v1")

    def direct(self, address: str) -> str:
        """A file of ours that was submitted by a proxy of the test: that proxy is the client's, not ours."""
        parts = urlsplit(address)
        is_ours = parts.path.removeprefix("/cdn") in self.files.stored
        return parts._replace(netloc=f"127.0.0.1:{self._port}").geturl() if is_ours else address

    def read(self, raw: Request, scheme: str) -> FalRequest:
        return FalRequest.read(raw, scheme)

    def name_of(self, request: FalRequest) -> str:
        call = call_of(request)
        return call.name if call else ""

    def rotate_webhook_key(self, *, drop_old: bool = False) -> None:
        """A new key signs. The JWKS has it from now on, beside the old ones or in their place."""
        self.webhook_keys = ([] if drop_old else self.webhook_keys) + [webhooks.new_key()]

    def deliver(self, job: Job) -> webhooks.Delivery:
        """Send the webhook of a job that has ended, now and once more."""
        return webhooks.deliver(self, job)

    def ended(self, job: Job) -> None:
        """Send the webhook beside, as often and as late as the switches say."""
        if job.webhook:
            self.send_beside(lambda: webhooks.deliver(self, job), self.webhook_times, self.webhook_delay)

    def answer(self, request: FalRequest) -> Answer:
        call = call_of(request)
        if call is None:
            return detail(404, "Not Found")
        if error := self._key_error(call, request) or self._outage(call):
            return error
        if call.name == "submit" and self.loses_request:
            return breaks(taken=False)
        answer = call.answer(self, request)
        if call.name == "submit" and self.loses_answer:
            return breaks(taken=True)
        return self.answer_with_unknown_fields(answer)

    def _key_error(self, call: Call, request: FalRequest) -> Answer | None:
        header = request.headers.get("authorization", "")
        if call.key == "token":
            known = header.removeprefix("Bearer ") in self.files.tokens
            return None if known else detail(401, "Invalid token")
        if not call.key or header == f"Key {self.admin_key}":
            return None
        if header.removeprefix("Key ") not in {self.key, *self.other_keys}:
            if call.service == "api":
                return platform_error(401, "authorization_error", "Authentication required")
            return detail(
                401, "Cannot access application. Authentication is required to access this application."
            )
        if call.key == "admin":
            return platform_error(403, "authorization_error", "Access denied")
        return None

    def _outage(self, call: Call) -> Answer | None:
        is_platform = call.service == "api"
        if call.name in self.locked_on:
            text = self.locked_reason
            return platform_error(403, "authorization_error", text) if is_platform else detail(403, text)
        if call.name in self.busy_on:
            wait = {} if self.busy_seconds is None else {"Retry_After": str(self.busy_seconds)}
            if is_platform:
                return platform_error(429, "rate_limited", "Rate limit exceeded", **wait)
            return says(429, {"detail": "Too many requests"}, **wait)
        if call.name in self.html_errors_on:
            return says(503, HTML, Content_Type="text/html")
        return None
