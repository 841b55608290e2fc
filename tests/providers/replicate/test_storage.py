"""Datasets at Replicate: uploaded as a form, under an address of its own for each attempt."""

from __future__ import annotations

import hashlib
import io
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
    UnauthorizedError,
)
from finetune_portal.providers.replicate import ReplicateAdapter
from finetune_portal.providers.replicate import storage as storage_module
from tests.provider import breaks, says
from tests.provider.fake import HTML
from tests.provider.pairs import packed
from tests.providers.failures import failure
from tests.providers.replicate.conftest import NONCE, only_job, request_for
from tests.replicate.ledger import Upload
from tests.replicate.server import FakeReplicate

LARGE = bytes(range(256)) * 8192 * 2  # 4 MiB


def only_file(replicate: FakeReplicate) -> Upload:
    (upload,) = replicate.uploads.values()
    return upload


def put(adapter: ReplicateAdapter, content: bytes, reports: list[int] | None = None) -> StoredDataset:
    note = reports.append if reports is not None else None
    return adapter.put_dataset('a "set" ✓.zip', io.BytesIO(content), len(content), note)


def test_a_dataset_is_uploaded_and_expires(replicate: FakeReplicate, adapter: ReplicateAdapter) -> None:
    stored = put(adapter, packed())
    file = only_file(replicate)
    assert file.id in stored.address
    assert (file.content, file.content_type, file.name) == (packed(), "application/zip", "a-set-.zip")
    assert stored.md5 == hashlib.md5(packed()).hexdigest()
    assert stored.expires_at
    assert abs(stored.expires_at - datetime.now(UTC) - timedelta(days=1)) < timedelta(minutes=1)
    assert len(replicate.requests) == 1


def test_progress_counts_the_bytes_of_the_file_alone(
    replicate: FakeReplicate, adapter: ReplicateAdapter
) -> None:
    for content in (LARGE, b"small"):
        reports: list[int] = []
        put(adapter, content, reports)
        assert reports
        assert reports == sorted(reports)
        assert all(0 <= each <= len(content) for each in reports)
    assert [upload.content for upload in replicate.uploads.values()] == [LARGE, b"small"]


def test_a_file_that_is_shorter_than_announced_is_no_upload(
    replicate: FakeReplicate, adapter: ReplicateAdapter
) -> None:
    error = failure(lambda: adapter.put_dataset("a.zip", io.BytesIO(LARGE), len(LARGE) + 1))
    assert type(error) is ConnectionLostError
    assert replicate.uploads == {}


def test_a_file_that_has_grown_is_cut_at_what_was_announced(
    replicate: FakeReplicate, adapter: ReplicateAdapter
) -> None:
    adapter.put_dataset("a.zip", io.BytesIO(LARGE), 1000)
    assert only_file(replicate).content == LARGE[:1000]


def test_what_is_too_large_is_not_sent(
    replicate: FakeReplicate, adapter: ReplicateAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert storage_module.MOST_BYTES == 100 << 20
    monkeypatch.setattr(storage_module, "MOST_BYTES", 100)
    error = failure(lambda: put(adapter, packed()))
    assert type(error) is RequestRejectedError
    assert "100 MiB" in error.message
    assert replicate.requests == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (says(503, HTML), ServerError),
        (says(401, {"detail": "no"}), UnauthorizedError),
        (says(413, {"detail": "Payload too large"}), RequestRejectedError),
        (breaks(taken=True), ConnectionLostError),
        (says(201, HTML), InvalidResponseError),
        (says(201, {"urls": {}}), InvalidResponseError),
        (says(201, {"urls": {"get": "ftp://x.example/a.zip"}}), InvalidResponseError),
        (says(201, {"urls": {"get": "http://x.example/a.zip"}}), InvalidResponseError),
    ],
)
def test_an_upload_without_an_address_fails(
    replicate: FakeReplicate, adapter: ReplicateAdapter, answer: Any, kind: type[CallError]
) -> None:
    replicate.script("upload", answer)
    assert type(failure(lambda: put(adapter, packed()), replicate.key)) is kind
    assert put(adapter, packed()).address


@pytest.mark.parametrize("is_signed", [True, False])
def test_each_attempt_has_an_address_of_its_own_that_trains(
    replicate: FakeReplicate, adapter: ReplicateAdapter, is_signed: bool
) -> None:
    replicate.signs_uploads = is_signed
    stored = put(adapter, packed())
    addresses = {adapter.dataset_address(stored, nonce) for nonce in (NONCE, "another")}
    assert len(addresses) == 2
    assert stored.address not in addresses
    adapter.submit(request_for(adapter.dataset_address(stored, NONCE)))
    replicate.finish(only_job(replicate))
    assert only_job(replicate).status == "succeeded"


def test_where_an_upload_is_not_read_with_the_nonce_the_job_says_so(
    replicate: FakeReplicate, adapter: ReplicateAdapter
) -> None:
    """The weakest point of docs/provider-replicate.md, 4.2."""
    replicate.refuses_further_names = True
    handle = adapter.submit(request_for(adapter.dataset_address(put(adapter, packed()), NONCE))).handle
    replicate.finish(only_job(replicate))
    assert "Failed to download the file" in adapter.poll(handle).error


def test_an_upload_that_is_gone_or_elsewhere_has_no_address(
    replicate: FakeReplicate, adapter: ReplicateAdapter
) -> None:
    stored = put(adapter, packed())
    only_file(replicate).expires_at = 1
    assert type(failure(lambda: adapter.dataset_address(stored, NONCE))) is RequestRejectedError
    for answer, kind in ((says(503, HTML), ServerError), (says(200, {}, taken=False), InvalidResponseError)):
        replicate.script("file", answer)
        assert type(failure(lambda: adapter.dataset_address(stored, NONCE))) is kind
    sent = len(replicate.requests)
    foreign = StoredDataset("https://x.example/pairs.zip")
    assert "uploaded anew" in failure(lambda: adapter.dataset_address(foreign, NONCE)).message
    assert len(replicate.requests) == sent
