"""Send one request to a host of fal and read its answer (docs/provider-fal.md, 1).

The key goes to the configured hosts of queue, tokens and platform API alone, and nothing is sent twice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import requests

from finetune_portal.providers.contract import Account
from finetune_portal.providers.errors import AdminKeyRejectedError, OutOfCreditsError
from finetune_portal.providers.fal.errors import error_for
from finetune_portal.providers.http.answer import Answer, ask_with_key, fetch_answer
from finetune_portal.providers.http.exchange import READ, SMALL
from finetune_portal.providers.http.refusals import About
from finetune_portal.providers.http.session import Dial, Session

ADDRESSES = {
    "queue": "https://queue.fal.run",
    "rest": "https://rest.fal.ai",
    "cdn": "https://v3.fal.media",
    "api": "https://api.fal.ai/v1",
}
BAD_ADMIN_KEY = "fal does not accept the admin key. An admin should check it in the settings."
NO_ADMIN_KEY = "fal says that the admin key is none of an admin. An admin should check it in the settings."


class Client:
    """The hosts of one account. Each call opens a connection of its own, as an idle one may be half dead.

    `max_seconds` shortens the longest wait for an answer. `dial` connects to the hosts that answers name for
    files and may refuse one.
    """

    def __init__(self, account: Account, dial: Dial | None = None, max_seconds: float = math.inf) -> None:
        addresses = {name: account.addresses.get(name) or default for name, default in ADDRESSES.items()}
        stripped = {name: address.rstrip("/") for name, address in addresses.items()}
        self.queue, self.rest = stripped["queue"], stripped["rest"]
        self.cdn, self.api = stripped["cdn"], stripped["api"]
        self.dial, self.max_seconds = dial, max_seconds
        self.keys = (account.key, account.admin_key)

    def call(
        self,
        method: str,
        url: str,
        *,
        about: About = About.CALL,
        is_admin: bool = False,
        seconds: float = READ,
        cap: int = SMALL,
        headers: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> Answer:
        """Return a 2xx answer to a call with the key. Raises a CallError for every other one."""
        answer = self.ask(method, url, is_admin=is_admin, seconds=seconds, cap=cap, headers=headers, **fields)
        if answer.is_ok:
            return answer
        error = error_for(answer, self.keys, about)
        if is_admin and answer.status in (401, 403) and not isinstance(error, OutOfCreditsError):
            sentence = BAD_ADMIN_KEY if answer.status == 401 else NO_ADMIN_KEY
            raise AdminKeyRejectedError(sentence, status=answer.status, detail=error.detail)
        raise error

    def ask(
        self,
        method: str,
        url: str,
        *,
        is_admin: bool = False,
        seconds: float = READ,
        cap: int = SMALL,
        headers: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> Answer:
        """Return the answer to a call with the key, whatever its status."""
        return ask_with_key(
            method,
            url,
            f"Key {self.keys[1] if is_admin else self.keys[0]}",
            (self.queue, self.rest, self.api),
            seconds=min(seconds, self.max_seconds),
            cap=cap,
            headers=headers,
            **fields,
        )

    def exchange(
        self, session: Session, request: requests.Request, seconds: float = READ, cap: int = SMALL
    ) -> Answer:
        """Send a request as it is, without a key of ours."""
        return fetch_answer(session, request, min(seconds, self.max_seconds), cap)
