"""Send one request and return its answer, whatever the status. The key goes to configured hosts alone."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests

from finetune_portal.providers.errors import InvalidResponseError, UnreachableError
from finetune_portal.providers.http import exchange
from finetune_portal.providers.http.exchange import READ, SMALL
from finetune_portal.providers.http.json_body import missing, parse
from finetune_portal.providers.http.session import Session
from finetune_portal.providers.http.url_checks import is_at

FOREIGN = "This address is not at the configured host, so the key was not sent there. Tell an admin."


@dataclass(frozen=True)
class Answer:
    """An answer of any status. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> dict[str, Any]:
        """The object in the body. Raises InvalidResponseError where it is none."""
        payload = parse(self.content)
        if not isinstance(payload, dict):
            raise missing("an object")
        return payload

    def fields(self) -> dict[str, Any]:
        """The object in the body, empty where it is none, such as the page of a proxy."""
        try:
            return self.json()
        except InvalidResponseError:
            return {}


def ask_with_key(
    method: str,
    url: str,
    authorization: str,
    bases: Sequence[str],
    *,
    seconds: float = READ,
    cap: int = SMALL,
    headers: Mapping[str, str] | None = None,
    **fields: Any,
) -> Answer:
    """Send a request with the key. Raises UnreachableError unless it goes below one of `bases`."""
    if not any(is_at(url, base) for base in bases):
        raise UnreachableError(FOREIGN)
    # As bytes, any character can be sent.
    named = {**(headers or {}), "Authorization": authorization.encode("utf-8", "replace")}
    with Session() as session:
        return fetch_answer(session, requests.Request(method, url, headers=named, **fields), seconds, cap)


def fetch_answer(
    session: Session, request: requests.Request, seconds: float = READ, cap: int = SMALL
) -> Answer:
    """Wait at most so many seconds for the answer, and read at most `cap` bytes of it."""
    deadline = time.monotonic() + seconds
    with exchange.send(session, request, seconds) as response:
        headers = {name.lower(): value for name, value in response.headers.items()}
        if 200 <= response.status_code < 300:
            return Answer(response.status_code, headers, exchange.read(response, cap, deadline))
        content = exchange.body_if_readable(response, max(deadline, time.monotonic() + READ))
        return Answer(response.status_code, headers, content)
