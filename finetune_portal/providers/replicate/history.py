"""Look for a job whose answer was lost, in the lists of the account (docs/provider-replicate.md, 7).

That a list is complete in the moment after a submit is stated nowhere: absence proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from finetune_portal.providers.contract import Handle, JobRequest, Match, Reconciled
from finetune_portal.providers.http.exchange import LARGE
from finetune_portal.providers.http.paging import turns
from finetune_portal.providers.http.values import mapping, text, time_of
from finetune_portal.providers.replicate.client import Client
from finetune_portal.providers.replicate.results import handle_of
from finetune_portal.providers.replicate.storage import NONCE_NAME, file_id
from finetune_portal.providers.replicate.trainers import ReplicateTrainer, known

MARGIN = timedelta(hours=1)  # between the clocks of two machines


def reconcile(client: Client, request: JobRequest, since: datetime) -> Reconciled:
    """Match by the address of the ZIP, which no other attempt has."""
    trainer = known(request.trainer)
    handles: dict[str, Handle] = {}
    is_unclear = False
    for row in _rows(client, trainer, since - MARGIN):
        handle = handle_of(client.api, row, is_training=trainer.is_training)
        address = mapping(row.get("input")).get(trainer.dataset_field)
        if handle and address == request.dataset:
            handles[handle.id] = handle
        else:
            is_unclear |= _may_be(row, address, request)
    if len(handles) == 1:
        return Reconciled(Match.FOUND, next(iter(handles.values())))
    return Reconciled(Match.AMBIGUOUS if handles or is_unclear else Match.NOT_SEEN)


def _may_be(row: Mapping[str, Any], address: Any, request: JobRequest) -> bool:
    """Whether a job without this address may still be the one: by its file, or as its input was deleted."""
    if not isinstance(address, str):
        return text(row.get("model")) == request.trainer
    same_file = file_id(address) and file_id(address) == file_id(request.dataset)
    return bool(same_file) and NONCE_NAME not in address


def _rows(client: Client, trainer: ReplicateTrainer, start: datetime) -> Iterator[dict[str, Any]]:
    """The account's jobs of this kind since a moment, newest first."""
    after = start.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    url = f"{client.api}/{'trainings' if trainer.is_training else 'predictions'}"
    params = {} if trainer.is_training else {"created_after": after}
    for _ in turns():
        page = client.call("GET", url, params=params, cap=LARGE).json()
        rows = page.get("results")
        for row in rows if isinstance(rows, list) else ():
            if not isinstance(row, dict):
                continue
            if (created_at := time_of(text(row.get("created_at")))) and created_at < start:
                return
            yield row
        url, params = text(page.get("next")), {}
        if not url:
            return
