"""Fetch a dataset by its address and look at it, with the errors of fal's edit trainers."""

from __future__ import annotations

from typing import Any

from tests.fal.switches import Failure
from tests.provider import pairs
from tests.provider.pairs import PairsError


class DatasetError(Exception):
    """Why the trainer refuses a dataset."""

    def __init__(self, name: str, error: PairsError, **ctx: Any) -> None:
        msg = str(error)
        entry = {"loc": ["body", name], "msg": msg, "type": error.kind, "ctx": ctx, "input": None}
        self.failure = Failure(422, [entry], "")
        super().__init__(msg)


def download(address: str, most_bytes: int, name: str) -> bytes:
    try:
        return pairs.download(address, most_bytes)
    except PairsError as exc:
        ctx = {"max_size": most_bytes} if exc.kind == "file_too_large" else {}
        raise DatasetError(name, exc, **ctx) from None


def cannot_download(name: str, reason: str) -> DatasetError:
    return DatasetError(name, pairs.cannot_download(reason))


def inputs_per_pair(data: bytes, most_inputs: int, default_caption: str | None, name: str) -> int:
    try:
        return pairs.inputs_per_pair(data, most_inputs, default_caption)
    except PairsError as exc:
        raise DatasetError(name, exc) from None
