"""A training of this API as a snapshot of the contract, and the search for one in the account's list."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from finetune_portal.providers.contract import Handle, Match, Phase, Reconciled, ResultFile, Snapshot
from finetune_portal.providers.http.reasons import without_secrets
from finetune_portal.providers.segmind.types import MAX_ADDRESS, FineTune, phase

# Those that a job goes through until its model is available.
JOB_PHASES = (
    Phase.REQUESTED,
    Phase.DATA,
    Phase.TRAINING,
    Phase.TRAINED,
    Phase.DEPLOYING,
    Phase.AVAILABLE,
)
CANCELLED = "cancelled"
NO_REASON = "The provider gives no reason."


def snapshot_of(finetune: FineTune, key: str, handle: Handle | None = None) -> Snapshot:
    """The snapshot of a training, under the handle by which it was asked for."""
    reached = _phase(finetune)
    error = ""
    if reached in (Phase.FAILED, Phase.CANCELLED):
        error = without_secrets(finetune.error_message, key) or NO_REASON
    return Snapshot(
        handle or Handle(finetune.id),
        reached,
        finetune.status,
        error=error,
        files=() if error else _files(finetune),
        raw=finetune.raw,
        name=finetune.name,
        other_ids=finetune.ids - {handle.id if handle else finetune.id},
        is_public=finetune.public,
        model=finetune.slug,
    )


def reconciled(finetunes: Iterable[FineTune], nonce: str) -> Reconciled:
    """Find the training whose name ends in the nonce. Two under one name may both have been paid."""
    ids = {finetune.id for finetune in finetunes if finetune.name.endswith(nonce)}
    if len(ids) > 1:
        return Reconciled(Match.AMBIGUOUS)
    return Reconciled(Match.FOUND, Handle(ids.pop())) if ids else Reconciled(Match.NOT_SEEN)


def _phase(finetune: FineTune) -> Phase:
    """The phase of the status. The API has no word for a cancelled training: it failed with that error."""
    reached = Phase(phase(finetune.status))
    is_cancelled = finetune.error_message.strip(". ").lower() == CANCELLED
    if reached is Phase.FAILED and (is_cancelled or CANCELLED[:6] in finetune.status.lower()):
        return Phase.CANCELLED
    return reached


def _files(finetune: FineTune) -> tuple[ResultFile, ...]:
    """The weights, which may be there before the status says so (docs/provider-api.md, 15)."""
    address = finetune.cloud_storage_url
    if not 0 < len(address) <= MAX_ADDRESS:
        return ()
    return (ResultFile("weights", address, _file_name(address)),)


def _file_name(address: str) -> str:
    try:
        return PurePosixPath(unquote(urlsplit(address).path)).name
    except ValueError:
        return ""
