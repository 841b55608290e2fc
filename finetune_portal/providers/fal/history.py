"""Look for a job whose answer was lost, in fal's history of requests (docs/provider-fal.md, 7).

The history may come late, have holes, and lack what has not ended: absence proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from finetune_portal.providers.contract import JobRequest, Match, Reconciled
from finetune_portal.providers.fal.client import Client
from finetune_portal.providers.fal.handles import MAX_ID, built_handle
from finetune_portal.providers.http.exchange import LARGE
from finetune_portal.providers.http.paging import turns
from finetune_portal.providers.http.values import mapping, text

MARGIN = timedelta(hours=1)  # between the clocks of two machines
PAGE = 100


def reconcile(client: Client, request: JobRequest, dataset_field: str, since: datetime) -> Reconciled:
    """Match by the address of the ZIP, which no other attempt has."""
    items = _items(client, request.trainer, since - MARGIN)
    ids = {
        text(item.get("request_id"))
        for item in items
        if mapping(item.get("json_input")).get(dataset_field) == request.dataset
    }
    ids = {each for each in ids if 0 < len(each) <= MAX_ID}
    if len(ids) > 1:
        return Reconciled(Match.AMBIGUOUS)
    if not ids:
        return Reconciled(Match.NOT_SEEN)
    return Reconciled(Match.FOUND, built_handle(client.queue, request.trainer, ids.pop()))


def _items(client: Client, endpoint: str, start: datetime) -> Iterator[dict[str, Any]]:
    params = {
        "endpoint_id": endpoint,
        "start": start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "expand": "payloads",
        "limit": str(PAGE),
    }
    for _ in turns():
        url = f"{client.api}/models/requests/by-endpoint"
        page = client.call("GET", url, params=params, cap=LARGE).json()
        items = page.get("items")
        yield from (each for each in (items if isinstance(items, list) else ()) if isinstance(each, dict))
        cursor = text(page.get("next_cursor"))
        if not page.get("has_more") or not cursor:
            return
        params["cursor"] = cursor
