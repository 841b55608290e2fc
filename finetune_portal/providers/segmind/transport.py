"""Exchange one request with the provider: time-outs, size limits, no redirects, errors as CallError.

No key reaches the text of an exception.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import requests

from finetune_portal.providers.http import exchange
from finetune_portal.providers.http.exchange import READ, SMALL
from finetune_portal.providers.http.files import Files
from finetune_portal.providers.http.session import Dial, Session
from finetune_portal.providers.segmind.error_responses import error_for

TOO_MANY = 429


class Transport:
    """The connection to one base URL with one key. Do not share it between threads.

    `dial` connects to what the answers name for files, unless it is the provider's own host. `on_headers` is
    called with the headers of each answer as it comes, but not of a 429, whose error says when to go on.
    """

    def __init__(self, base_url: str, api_key: str, max_seconds: float, dial: Dial | None = None) -> None:
        self._base_url, self._api_key = base_url.rstrip("/"), api_key
        self._max_seconds = max_seconds
        self._session = Session()
        self.files = Files(self._base_url, dial, max_seconds)
        self.headers: Mapping[str, str] = {}
        self.on_headers: Callable[[Mapping[str, str]], None] | None = None

    def call(
        self,
        method: str,
        path: str,
        *,
        base_url: str = "",
        cap: int = SMALL,
        total: float = READ,
        new_connection: bool = False,
        for_new_job: bool = False,
        for_job: bool = False,
        **body: Any,
    ) -> bytes:
        """Return the body of the answer. `base_url`: another one of the same provider.

        `new_connection` opens one for this call alone, as an idle one may be half dead. `for_new_job`: a
        refusal may mean that the provider takes no new jobs. `for_job`: it names a job, which may be gone.
        """
        session = Session() if new_connection else self._session
        total = min(total, self._max_seconds)
        deadline = time.monotonic() + total
        key = self._api_key.encode("utf-8", "replace")  # as bytes, any character can be sent
        url = (base_url or self._base_url) + path
        request = requests.Request(method, url, headers={"x-api-key": key}, **body)
        try:
            with exchange.send(session, request, total) as response:
                self.headers = {name.lower(): value for name, value in response.headers.items()}
                if self.on_headers and response.status_code != TOO_MANY:
                    self.on_headers(self.headers)
                if 200 <= response.status_code < 300:
                    return exchange.read(response, cap, deadline)
                pause = response.headers.get("Retry-After", "")
                content = exchange.body_if_readable(response, deadline)
                about = {"for_new_job": for_new_job, "for_job": for_job}
                raise error_for(response.status_code, pause, content, self._api_key, **about)
        finally:
            if new_connection:
                session.close()

    def close(self) -> None:
        self._session.close()
        self.files.close()
