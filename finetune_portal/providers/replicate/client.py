"""Send one request to Replicate and read its answer (docs/provider-replicate.md, 1).

The key goes to the configured host alone, and nothing is sent twice.
"""

from __future__ import annotations

import math
from typing import Any

from finetune_portal.providers.contract import Account
from finetune_portal.providers.http.answer import Answer, ask_with_key
from finetune_portal.providers.http.exchange import READ, SMALL
from finetune_portal.providers.http.refusals import About
from finetune_portal.providers.http.session import Dial
from finetune_portal.providers.replicate.errors import error_for

ADDRESSES = {"api": "https://api.replicate.com/v1"}


class Client:
    """The host of one account. `max_seconds` shortens the longest wait for an answer.

    `dial` connects to the hosts that answers name for files and may refuse one.
    """

    def __init__(self, account: Account, dial: Dial | None = None, max_seconds: float = math.inf) -> None:
        self.api = (account.addresses.get("api") or ADDRESSES["api"]).rstrip("/")
        self.dial, self.max_seconds, self.key = dial, max_seconds, account.key

    def call(self, method: str, url: str, *, about: About = About.CALL, **fields: Any) -> Answer:
        """Return a 2xx answer to a call with the key. Raises a CallError for every other one."""
        answer = self.ask(method, url, **fields)
        if answer.is_ok:
            return answer
        raise error_for(answer, self.key, about)

    def ask(self, method: str, url: str, *, seconds: float = READ, cap: int = SMALL, **fields: Any) -> Answer:
        """Return the answer to a call with the key, whatever its status."""
        seconds = min(seconds, self.max_seconds)
        return ask_with_key(
            method, url, f"Bearer {self.key}", (self.api,), seconds=seconds, cap=cap, **fields
        )
