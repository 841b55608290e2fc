"""What the object of a job says: how to ask for it again, and the files that it made.

docs/provider-replicate.md, 2.4 and 3.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from finetune_portal.providers.contract import Handle, ResultFile
from finetune_portal.providers.http.url_checks import is_at, is_http_url
from finetune_portal.providers.http.values import mapping, text, time_of
from finetune_portal.providers.replicate.trainers import TABLE

MAX_ID, MAX_ADDRESS, MAX_SAMPLES = 100, 2000, 20
KEPT = timedelta(hours=1)  # what a prediction made


def handle_of(api: str, payload: Mapping[str, Any], *, is_training: bool) -> Handle | None:
    """The handle of a job, with its addresses where they lie at the configured host. None without an id."""
    job_id = text(payload.get("id"))
    if not 0 < len(job_id) <= MAX_ID:
        return None
    built = f"{api}/{'trainings' if is_training else 'predictions'}/{quote(job_id, safe='')}"
    named = mapping(payload.get("urls"))
    kept = {
        name: url
        for name in ("get", "cancel")
        if isinstance(url := named.get(name), str) and len(url) <= MAX_ADDRESS and is_at(url, api)
    }
    return Handle(job_id, {"get": built, "cancel": f"{built}/cancel", **kept})


def files_in(payload: Mapping[str, Any]) -> tuple[ResultFile, ...]:
    """The weights, then pictures of a validation; empty where no file surely has the weights."""
    output = payload.get("output")
    expires_at = _expiry(payload)
    if isinstance(output, str):
        return tuple(_files("weights", [output], expires_at))
    fields = mapping(output)
    weights = tuple(_files("weights", [fields.get("weights")], expires_at))
    pictures = fields.get("validation_images")
    samples = _files("sample", pictures if isinstance(pictures, list) else [], expires_at)
    return (*weights, *samples) if weights else ()


def picture_in(output: Any) -> str:
    """The address of the picture that a model made; empty where there is none."""
    first = output[0] if isinstance(output, list) and output else output
    return next((file.address for file in _files("sample", [first], None)), "")


def _files(role: str, addresses: list[Any], expires_at: datetime | None) -> Iterator[ResultFile]:
    for each in addresses[:MAX_SAMPLES]:
        if isinstance(each, str) and len(each) <= MAX_ADDRESS and is_http_url(each):
            name = unquote(urlsplit(each).path.rpartition("/")[2])
            yield ResultFile(role, each, name, expires_at=expires_at)


def _expiry(payload: Mapping[str, Any]) -> datetime | None:
    """When Replicate deletes what a prediction made; nobody says it of a training."""
    trainer = TABLE.get(text(payload.get("model")))
    ended_at = time_of(text(payload.get("completed_at")))
    return ended_at + KEPT if ended_at and trainer and not trainer.is_training else None
