"""What fal's catalogue says of its trainers: open or closed, and their schema (docs/provider-fal.md, 9.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from finetune_portal.providers.contract import Availability, Trainer
from finetune_portal.providers.errors import CallError, RequestRejectedError
from finetune_portal.providers.fal.client import Client
from finetune_portal.providers.fal.handles import MAX_ADDRESS
from finetune_portal.providers.fal.trainers import DATASET_FIELDS, TABLE, FalTrainer
from finetune_portal.providers.http.exchange import LARGE
from finetune_portal.providers.http.paging import turns
from finetune_portal.providers.http.paid_run import unpaid
from finetune_portal.providers.http.values import mapping, text

TRAINING = "training"
AVAILABILITY = {"active": Availability.OPEN, "deprecated": Availability.CLOSED}
FIELD_UNKNOWN = (
    "fal does not say how this trainer takes a dataset, so nothing was sent: a wrong form costs money."
)


class Catalogue:
    def __init__(self, client: Client) -> None:
        self._client = client

    def trainers(self) -> list[Trainer]:
        """Those of the table, in its order, then those that only the catalogue names."""
        rows = self._training_rows()
        known = [self._current(each, rows) for each in TABLE.values()]
        others = [_unknown(name, row) for name, row in rows.items() if name not in TABLE]
        return sorted((*known, *others), key=lambda each: not each.is_known)

    def dataset_field(self, known: FalTrainer) -> str:
        """The field that takes the ZIP's address: by the table, else by the schema that fal publishes.

        Raises an error that never was sent, also where the catalogue cannot be read.
        """
        if known.dataset_field:
            return known.dataset_field
        with unpaid():
            row = self._row(known.trainer.id, schema=True)
        if field := _field_in(row):
            return field
        raise RequestRejectedError(FIELD_UNKNOWN)

    def _current(self, known: FalTrainer, rows: Mapping[str, Mapping[str, Any]]) -> Trainer:
        trainer = known.trainer
        row = rows.get(trainer.id) or self._row(trainer.id)
        trainer = replace(trainer, availability=_availability(row))
        if known.dataset_field or _field_in(self._row(trainer.id, schema=True)):
            return trainer
        return replace(trainer, is_known=False, parameters=())

    def _training_rows(self) -> dict[str, dict[str, Any]]:
        """The catalogue's trainers by their id."""
        rows: dict[str, dict[str, Any]] = {}
        params = {"category": TRAINING}
        for _ in turns():
            page = self._client.call("GET", f"{self._client.api}/models", params=params, cap=LARGE).json()
            rows |= {name: row for row in _rows(page) if (name := text(row.get("endpoint_id")))}
            cursor = text(page.get("next_cursor"))
            if not page.get("has_more") or not cursor:
                break
            params["cursor"] = cursor
        return rows

    def _row(self, endpoint: str, *, schema: bool = False) -> dict[str, Any]:
        """One entry of the catalogue; empty where it has none."""
        params = {"endpoint_id": endpoint, **({"expand": "openapi-3.0"} if schema else {})}
        try:
            page = self._client.call("GET", f"{self._client.api}/models", params=params, cap=LARGE).json()
        except CallError as exc:
            if exc.status == 404:
                return {}
            raise
        return next((row for row in _rows(page) if text(row.get("endpoint_id")) == endpoint), {})


def _rows(page: Mapping[str, Any]) -> list[dict[str, Any]]:
    rows = page.get("models")
    return [row for row in (rows if isinstance(rows, list) else ()) if isinstance(row, dict)]


def _availability(row: Mapping[str, Any]) -> Availability:
    status = text(mapping(row.get("metadata")).get("status"))
    return AVAILABILITY.get(status, Availability.UNKNOWN)


def _unknown(endpoint: str, row: Mapping[str, Any]) -> Trainer:
    fields = mapping(row.get("metadata"))
    return Trainer(
        id=endpoint[:MAX_ADDRESS],
        title=text(fields.get("display_name")) or endpoint,
        base_model="",
        licence=text(fields.get("license_type")),
        parameters=(),
        availability=_availability(row),
        is_known=False,
    )


def _field_in(row: Mapping[str, Any]) -> str:
    """The one usual name of the field among the properties of a schema; empty if none or both are there."""
    schemas = mapping(mapping(mapping(row.get("openapi")).get("components")).get("schemas"))
    names = {
        name
        for schema in schemas.values()
        for name in DATASET_FIELDS
        if name in mapping(mapping(schema).get("properties"))
    }
    return names.pop() if len(names) == 1 else ""
