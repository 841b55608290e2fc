"""Datasets at fal: uploaded with a token, deleted in time, under a fresh address for each attempt."""

from __future__ import annotations

import io
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from finetune_portal.providers.contract import StoredDataset
from finetune_portal.providers.errors import (
    CallError,
    ConnectionLostError,
    InvalidResponseError,
    RequestRejectedError,
    ServerError,
    StorageError,
)
from finetune_portal.providers.fal import FalAdapter
from finetune_portal.providers.fal.client import Client
from finetune_portal.providers.fal.storage import Storage
from tests.fal.calls import packed
from tests.fal.files import StoredFile
from tests.fal.server import HTML, FakeFal
from tests.provider import breaks, says
from tests.providers.fal.conftest import NONCE, account, failure

DAY = 24 * 3600
LARGE = bytes(range(256)) * 8192 * 2  # 4 MiB


def only_file(fal: FakeFal) -> StoredFile:
    (file,) = fal.files.stored.values()
    return file


def put(adapter: FalAdapter, content: bytes, reports: list[int] | None = None) -> StoredDataset:
    note = reports.append if reports is not None else None
    return adapter.put_dataset("a set ✓.zip", io.BytesIO(content), len(content), note)


def test_a_dataset_is_uploaded_and_expires(fal: FakeFal, adapter: FalAdapter) -> None:
    """That the CDN never sees the key is checked after each test."""
    stored = put(adapter, packed())
    file = only_file(fal)
    assert stored.address.endswith(next(iter(fal.files.stored)))
    assert (file.content, file.content_type, file.name) == (packed(), "application/zip", "a-set-.zip")
    assert file.expires_at == pytest.approx(time.time() + 14 * DAY, abs=60)
    assert stored.expires_at
    assert abs(stored.expires_at - datetime.now(UTC) - timedelta(days=14)) < timedelta(minutes=1)
    assert [request.service for request in fal.requests] == ["rest", "cdn"]


def test_progress_is_reported_while_it_uploads(fal: FakeFal, adapter: FalAdapter) -> None:
    reports: list[int] = []
    put(adapter, LARGE, reports)
    assert reports == sorted(reports)
    assert 0 < reports[0] <= len(LARGE)
    assert only_file(fal).content == LARGE


def in_parts(fal: FakeFal) -> Storage:
    return Storage(Client(account(fal)), multipart_above=len(LARGE) // 2, part_size=1 << 20)


def test_a_large_dataset_goes_in_parts(fal: FakeFal) -> None:
    reports: list[int] = []
    content = LARGE + b"the rest"
    stored = in_parts(fal).put(
        "a.zip", "application/zip", io.BytesIO(content), len(content), timedelta(days=1), reports.append
    )
    file = only_file(fal)
    assert (file.content, file.is_complete) == (content, True)
    assert file.expires_at == pytest.approx(time.time() + DAY, abs=60)
    assert stored.address.endswith(next(iter(fal.files.stored)))
    assert reports == [1 << 20, 2 << 20, 3 << 20, 4 << 20, len(content)]
    assert len(fal.sent("part")) == 5
    assert fal.sent("upload") == []


def test_parts_begin_above_100_mib(fal: FakeFal) -> None:
    storage = Storage(Client(account(fal)))
    assert (storage.multipart_above, storage.part_size) == (100 << 20, 10 << 20)
    small = in_parts(fal)
    small.put("a.zip", "application/zip", io.BytesIO(LARGE), len(LARGE) // 2, timedelta(days=1))
    assert (len(fal.sent("upload")), fal.sent("multipart")) == (1, [])


@pytest.mark.parametrize("call", ["upload", "multipart", "part", "complete"])
@pytest.mark.parametrize("status", [401, 403, 500])
def test_what_the_cdn_refuses_is_a_fault_of_the_storage_and_not_of_the_key(
    fal: FakeFal, call: str, status: int
) -> None:
    fal.script(call, says(status, {"detail": "Invalid token"}))
    storage = Storage(Client(account(fal))) if call == "upload" else in_parts(fal)
    error = failure(
        lambda: storage.put("a", "application/zip", io.BytesIO(LARGE), len(LARGE), timedelta(days=1))
    )
    assert (type(error), error.status) == (StorageError, status)


@pytest.mark.parametrize(
    ("call", "answer", "kind"),
    [
        ("token", says(503, HTML), ServerError),
        ("token", says(200, {"token": ""}), InvalidResponseError),
        ("upload", breaks(taken=True), ConnectionLostError),
        ("upload", says(200, {"access_url": "ftp://x.example/a.zip"}), InvalidResponseError),
        ("upload", says(200, {"access_url": "http://x.example/a.zip"}), InvalidResponseError),
        ("upload", says(200, HTML), InvalidResponseError),
    ],
)
def test_an_upload_without_an_address_fails(
    fal: FakeFal, adapter: FalAdapter, call: str, answer: Any, kind: type[CallError]
) -> None:
    fal.script(call, answer)
    assert type(failure(lambda: put(adapter, packed()))) is kind
    assert put(adapter, packed()).address


def test_the_token_goes_to_no_host_without_tls(fal: FakeFal) -> None:
    fal.script("multipart", says(200, {"access_url": "http://x.example/a", "uploadId": "1"}))
    error = failure(lambda: in_parts(fal).put("a", "a/zip", io.BytesIO(LARGE), len(LARGE), timedelta(days=1)))
    assert type(error) is InvalidResponseError


def test_each_attempt_has_an_address_of_its_own(fal: FakeFal, adapter: FalAdapter) -> None:
    stored = put(adapter, packed())
    addresses = {adapter.dataset_address(stored, nonce) for nonce in (NONCE, "another")}
    assert len(addresses) == 2
    assert stored.address not in addresses
    seconds = [request.json["expiration_seconds"] for request in fal.sent("sign")]
    assert len(set(seconds)) == 2  # two attempts of one second are signed differently
    assert all(6 * DAY < each <= 7 * DAY for each in seconds)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (says(404, {"error": {"type": "not_found", "message": "Resource not found"}}), RequestRejectedError),
        (says(503, HTML), ServerError),
        (says(200, {}), InvalidResponseError),
        (says(200, {"signed_url": "http://x.example/a.zip?identity=1"}), InvalidResponseError),
    ],
)
def test_an_address_that_is_not_signed_is_not_guessed(
    fal: FakeFal, adapter: FalAdapter, answer: Any, kind: type[CallError]
) -> None:
    stored = put(adapter, packed())
    fal.script("sign", answer)
    assert type(failure(lambda: adapter.dataset_address(stored, NONCE))) is kind
    fal.script("sign", says(200, {"signed_url": stored.address}))
    assert "uploaded anew" in failure(lambda: adapter.dataset_address(stored, NONCE)).message
