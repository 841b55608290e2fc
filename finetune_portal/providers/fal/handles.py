"""The addresses of a job: those of the answer to its submit, or those that fal's clients build.

docs/provider-fal.md, 2.3 has both forms. No address off the configured queue is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from finetune_portal.providers.contract import Handle
from finetune_portal.providers.http.url_checks import is_at
from finetune_portal.providers.http.values import text

MAX_ID, MAX_ADDRESS = 100, 2000
NAMES = {"status": "status_url", "result": "response_url", "cancel": "cancel_url"}


def built_handle(queue: str, endpoint: str, request_id: str) -> Handle:
    """The handle of a job whose addresses no answer named: owner and app, without the subpath."""
    parts = endpoint.split("/")
    app = "/".join(parts[: 3 if parts[0] in ("workflows", "comfy") else 2])
    base = f"{queue}/{app}/requests/{quote(request_id, safe='')}"
    return Handle(request_id, {"status": f"{base}/status", "result": base, "cancel": f"{base}/cancel"})


def handle_of(queue: str, endpoint: str, payload: Mapping[str, Any], header: str) -> Handle | None:
    """The handle in the answer to a submit; `header` repeats the id. None where there is no id."""
    ids = (text(each) for each in (payload.get("request_id"), header))
    request_id = next((each for each in ids if 0 < len(each) <= MAX_ID), "")
    if not request_id:
        return None
    built = built_handle(queue, endpoint, request_id)
    named = {name: payload.get(field) for name, field in NAMES.items()}
    kept = {
        name: url
        for name, url in named.items()
        if isinstance(url, str) and len(url) <= MAX_ADDRESS and is_at(url, queue)
    }
    return Handle(request_id, {**built.addresses, **kept})
