"""Post a webhook as a provider does."""

from __future__ import annotations

from collections.abc import Mapping

import requests

SECONDS = 15


def post_once(url: str, body: bytes, headers: Mapping[str, str]) -> int:
    """Send a message once, without a redirect and without a proxy; the status, 0 where nobody answers."""
    try:
        with requests.Session() as session:
            session.trust_env = False
            return session.post(
                url, data=body, headers=dict(headers), timeout=SECONDS, allow_redirects=False
            ).status_code
    except requests.RequestException:
        return 0
