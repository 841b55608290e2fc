"""Files at each provider: a dataset goes there, and weights come back, without the key."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from finetune_portal.providers.contract import Capability, ResultFile
from finetune_portal.providers.errors import CallError, StorageError
from tests.provider import breaks, half, says
from tests.providers.suite.subject import Call, Subject

LARGE = bytes(range(256)) * 8192 * 2  # 4 MiB
XML = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"


@pytest.fixture
def weights(subject: Subject) -> ResultFile:
    return next(file for file in subject.ended().files if file.role == "weights")


def test_an_upload_reports_its_progress_and_may_be_repeated(subject: Subject) -> None:
    seen: list[int] = []
    for _ in range(2):
        stored = subject.adapter.put_dataset("a set ✓.zip", io.BytesIO(LARGE), len(LARGE), seen.append)
        assert stored.address.startswith("http")
        seen_of_one, seen = seen, []
        assert seen_of_one == sorted(seen_of_one)
        assert 0 < seen_of_one[-1] <= len(LARGE)
    assert subject.sent(Call.UPLOAD) == 2


@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_refusal_of_the_storage_is_not_one_of_the_key(subject: Subject, status: int) -> None:
    if subject.stores_with_the_key:
        subject.cannot("datasets are sent with the key")
    subject.script(Call.UPLOAD, says(status, XML))
    error = subject.failure(subject.uploaded)
    assert (type(error), error.status) == (StorageError, status)
    assert subject.uploaded()


def test_an_upload_that_breaks_can_be_tried_again(subject: Subject) -> None:
    subject.script(Call.UPLOAD, breaks(taken=False))
    assert subject.failure(subject.uploaded).retryable
    assert subject.uploaded()


def test_a_file_is_read_by_its_link_whole_and_in_slices(subject: Subject, weights: ResultFile) -> None:
    link, files = subject.adapter.file_link(weights), subject.adapter.files
    files.check(link)
    content = b"".join(files.get(link))
    first = files.get_slice(link, 0, 10)
    rest = files.get_slice(link, 10, first.total)
    assert first.content + rest.content == content
    assert first.total == len(content) > 10
    assert weights.size in (None, len(content))


def test_a_file_that_breaks_in_its_middle_is_not_taken_for_whole(
    subject: Subject, weights: ResultFile
) -> None:
    link, files = subject.adapter.file_link(weights), subject.adapter.files
    subject.script(Call.FILE, half())
    assert subject.failure(lambda: b"".join(files.get(link))).retryable
    subject.script(Call.FILE, half())
    assert subject.failure(lambda: files.get_slice(link, 0, 20)).retryable
    assert b"".join(files.get(link))


def test_a_file_that_is_gone_is_not_one_that_cannot_be_had_now(subject: Subject, weights: ResultFile) -> None:
    link, files = subject.adapter.file_link(weights), subject.adapter.files
    for status, is_gone in ((404, True), (410, True), (403, False), (503, False)):
        subject.script(Call.FILE, says(status, b"no"), says(status, b"no"))
        for error in (
            subject.failure(lambda: files.check(link)),
            subject.failure(lambda: files.get_slice(link, 0, 10)),
        ):
            assert isinstance(error, StorageError)
            assert error.is_gone is is_gone


def test_no_file_is_fetched_in_clear_from_another_host(subject: Subject, weights: ResultFile) -> None:
    elsewhere = replace(weights, address="http://files.example/a.safetensors")
    try:
        link = subject.adapter.file_link(elsewhere)
    except CallError:
        return
    assert link.startswith("https") or "files.example" not in link


def test_visibility_can_be_changed_and_is_shown(subject: Subject) -> None:
    subject.needs(Capability.VISIBILITY)
    handle = subject.ended().handle
    for public in (True, False):
        subject.adapter.set_public(handle, public=public)
        assert subject.adapter.poll(handle).is_public is public
