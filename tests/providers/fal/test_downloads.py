"""A file of a result that comes without an end: it holds nobody up for ever."""

from __future__ import annotations

import pytest

from finetune_portal.providers.errors import ConnectionLostError, InvalidResponseError
from finetune_portal.providers.http import files
from tests.fal.server import FakeFal
from tests.provider import endless
from tests.provider.results import WEIGHTS
from tests.providers.failures import failure


def weights_at(fal: FakeFal) -> str:
    return f"{fal.cdn_url}{fal.files.put('x.safetensors', WEIGHTS, 'application/octet-stream')}"


def read(fal: FakeFal) -> bytes:
    return b"".join(files.Files(fal.cdn_url).get(weights_at(fal)))


def test_a_file_that_drips_is_given_up(fal: FakeFal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "READ", 0.5)
    fal.script("download", endless("drip", b"x"))
    assert type(failure(lambda: read(fal))) is ConnectionLostError
    assert read(fal) == WEIGHTS


def test_a_file_without_an_end_is_given_up(fal: FakeFal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_BYTES", 8 * 1024 * 1024)
    fal.script("download", endless())
    assert type(failure(lambda: read(fal))) is InvalidResponseError
