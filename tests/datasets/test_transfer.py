"""The transfer of a dataset's file to a presigned URL."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.apps import apps
from django.urls import reverse
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.datasets.models import Dataset, Transfer
from finetune_portal.datasets.transfer import transfer_next
from finetune_portal.worker import tasks
from tests.people import HTMX, form_data, make_dataset, make_job, signed_in
from tests.provider import Answer, ScriptedProvider, breaks, says
from tests.running import RunningEngine
from tests.worker.driving import point_at, point_nowhere, transfer_now


@pytest.fixture
def dataset(alice: User) -> Dataset:
    """Bytes that any slip would show: more than one block, and no round number of them."""
    return make_dataset(alice, stored=False, name="night", data=os.urandom(3 * 1024 * 1024 + 17))


@pytest.fixture
def fake(settings: Any) -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        point_at(settings, running)
        yield running


def transfer() -> Transfer:
    return Transfer.objects.get()


def is_at_provider(dataset: Dataset) -> bool:
    return Dataset.objects.prefetch_related("transfers").get(pk=dataset.pk).is_at_provider


def test_the_file_arrives_byte_by_byte(dataset: Dataset, engine: RunningEngine, settings: Any) -> None:
    point_at(settings, engine)
    transfer_now(dataset)
    key = urlsplit(transfer().s3_url).path.removeprefix("/storage/")
    stored: Path = engine.data_dir / "engine" / "storage" / key
    assert stored.read_bytes() == dataset.path.read_bytes()
    assert (transfer().bytes_sent, transfer().error) == (dataset.size, "")
    assert is_at_provider(dataset)
    assert not transfer_next(), "it goes once"


def test_its_digests_are_taken_on_the_way(dataset: Dataset, fake: ScriptedProvider) -> None:
    transfer_now(dataset)
    dataset.refresh_from_db()
    data = dataset.path.read_bytes()
    assert dataset.sha256 == hashlib.sha256(data).hexdigest()
    assert dataset.md5 == hashlib.md5(data, usedforsecurity=False).hexdigest()


def test_the_request_is_what_the_url_signed(dataset: Dataset, fake: ScriptedProvider) -> None:
    """P3, P4, P13: a known length, no key and nothing unsigned for the storage."""
    transfer_now(dataset)
    [put] = fake.sent("upload")
    assert put.body == dataset.path.read_bytes()
    assert put.headers["content-length"] == str(dataset.size)
    assert "transfer-encoding" not in put.headers
    assert not {"x-api-key", "authorization", "cookie"} & set(put.headers)
    assert not [name for name in put.headers if name.startswith("x-amz-")]
    assert fake.key not in str(put)


def test_the_s3_url_is_kept_verbatim_and_the_signed_one_nowhere(
    dataset: Dataset, fake: ScriptedProvider
) -> None:
    """P12"""
    transfer_now(dataset)
    [put] = fake.sent("upload")
    assert transfer().s3_url == fake.url + put.path
    signature = put.query.rsplit("=", 1)[1]
    assert signature not in str([list(model._default_manager.values()) for model in apps.get_models()])


@pytest.mark.parametrize(
    "answer",
    [
        says(403, b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"),
        says(503, b"<Error><Code>SlowDown</Code></Error>"),
        says(307, b"", taken=False, Location="https://elsewhere.example/"),
        breaks("reset", taken=False),
        breaks(taken=True),
        says(200, b"", ETag=f'"{"ab" * 16}"'),
    ],
    ids=["expired", "slow down", "redirect", "reset", "answer lost", "other bytes arrived"],
)
def test_a_lost_try_is_repeated_with_a_fresh_url(
    dataset: Dataset, fake: ScriptedProvider, answer: Answer
) -> None:
    """P2, P6, P7, P9, P10"""
    fake.script("upload", answer)
    transfer_now(dataset)
    assert not is_at_provider(dataset)
    assert transfer().error
    assert transfer().due_at > now()
    assert not transfer_next(), "it keeps the pause"

    transfer_now(dataset)
    assert is_at_provider(dataset)
    assert transfer().error == ""
    first, second = fake.sent("upload")
    assert first.path != second.path
    assert fake.stored[urlsplit(transfer().s3_url).path] == dataset.path.read_bytes()


def test_an_etag_under_a_kms_key_is_no_md5(dataset: Dataset, fake: ScriptedProvider) -> None:
    etag = {"ETag": f'"{"ab" * 16}"', "x_amz_server_side_encryption": "aws:kms"}
    fake.script("upload", says(200, b"", **etag))
    transfer_now(dataset)
    assert is_at_provider(dataset)


def s3_error(code: str, message: str) -> bytes:
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()


def tries_until_it_rests(dataset: Dataset, fake: ScriptedProvider) -> int:
    """How often the file is sent while the worker is given every chance."""
    Transfer.objects.get_or_create(dataset=dataset, connection=connections.default())
    for _ in range(12):
        Transfer.objects.update(due_at=now())
        if not transfer_next():
            break
    return len(fake.sent("upload"))


@pytest.mark.parametrize(
    ("answer", "tries", "sentence"),
    [
        (
            says(400, s3_error("EntityTooLarge", "Too big")),
            1,
            "Too big (EntityTooLarge). It takes no file of",
        ),
        (says(403, s3_error("InvalidAccessKeyId", "No such key id")), 1, "signs uploads with a key"),
        (says(403, s3_error("AccessDenied", "Access Denied")), 5, "It refuses fresh addresses, too."),
        (says(301, s3_error("PermanentRedirect", "Elsewhere"), taken=False), 5, "It redirects to another"),
        (says(307, b"", taken=False, Location="https://elsewhere.example/"), 5, "It redirects to another"),
        (says(200, b"", ETag=f'"{"ab" * 16}"'), 5, "different bytes than the portal sent"),
    ],
    ids=["too large", "unknown key", "denied", "moved", "redirect", "other bytes"],
)
def test_what_cannot_pass_ends_with_a_sentence_and_a_button(
    dataset: Dataset,
    fake: ScriptedProvider,
    alice: User,
    caplog: pytest.LogCaptureFixture,
    answer: Answer,
    tries: int,
    sentence: str,
) -> None:
    """P18"""
    fake.script("upload", *[answer] * 12)
    assert tries_until_it_rests(dataset, fake) == tries
    assert sentence in transfer().error
    client = signed_in(alice)
    html = client.get(f"/datasets/{dataset.pk}/status/", headers=HTMX).content.decode()
    assert "Not transferred" in html
    assert sentence in html
    assert "every 1s" not in html, "nothing changes by itself"
    assert "Try again" in html
    assert "Signature" not in caplog.text + transfer().error

    fake.unscript()
    client.post(reverse("datasets:transfer-again", args=[dataset.pk]))
    assert transfer_next()
    assert is_at_provider(dataset)


def test_what_the_storage_says_is_logged_without_the_signed_url(
    dataset: Dataset, fake: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    fake.script("upload", says(403, s3_error("AccessDenied", "Request has expired")))
    transfer_now(dataset)
    assert f"The storage refused dataset {dataset.key}: AccessDenied: Request has expired" in caplog.text
    assert "Signature" not in caplog.text
    assert "Request has expired (AccessDenied). The portal tries again" in transfer().error


def test_a_passing_fault_never_ends_it(dataset: Dataset, fake: ScriptedProvider) -> None:
    refused, busy = says(403, s3_error("AccessDenied", "no")), says(503, s3_error("SlowDown", "slowly"))
    fake.script("upload", *[refused, refused, refused, busy] * 3)
    assert tries_until_it_rests(dataset, fake) == 12
    assert transfer().failed_at is None


def test_a_new_job_has_a_failed_transfer_tried_again(
    dataset: Dataset, fake: ScriptedProvider, alice: User
) -> None:
    fake.script("upload", says(400, s3_error("EntityTooLarge", "Too big")))
    transfer_now(dataset)
    job = make_job(alice, "waiting", dataset=dataset)
    assert "Too big (EntityTooLarge)" in signed_in(alice).get(f"/jobs/{job.pk}/").content.decode()
    signed_in(alice).post("/jobs/new/", form_data(dataset))
    assert transfer_next()
    assert is_at_provider(dataset)


def test_a_failure_at_the_jobs_own_connection_is_said_though_another_has_the_file(
    dataset: Dataset, fake: ScriptedProvider, alice: User, dana: User
) -> None:
    transfer_now(dataset)
    other = connections.add(name="Studio", base_url=fake.url, key=fake.key, actor=dana)
    job = make_job(alice, "waiting", dataset=dataset, connection=other)
    fake.script("upload", says(400, s3_error("EntityTooLarge", "Too big")))
    Transfer.objects.create(dataset=dataset, connection=other)
    assert transfer_next()
    html = signed_in(alice).get(f"/jobs/{job.pk}/").content.decode()
    assert "The dataset cannot go to “Studio”." in html
    assert "Too big (EntityTooLarge)" in html


def test_a_file_that_is_gone_from_the_disk_ends_it(dataset: Dataset, fake: ScriptedProvider) -> None:
    dataset.path.unlink()
    assert tries_until_it_rests(dataset, fake) == 0
    assert transfer().failed_at
    assert "Upload it again" in transfer().error


def test_a_dead_provider_is_reported_and_the_dataset_waits(
    dataset: Dataset, alice: User, settings: Any
) -> None:
    point_nowhere(settings)
    transfer_now(dataset)
    client = signed_in(alice)
    html = client.get(f"/datasets/{dataset.pk}/status/", headers=HTMX).content.decode()
    assert "The provider cannot be reached. The portal tries again by itself." in html
    assert "Transferring to the provider" in html
    with ScriptedProvider() as fake:
        point_at(settings, fake)
        transfer_now(dataset)
        html = client.get(f"/datasets/{dataset.pk}/status/", headers=HTMX).content.decode()
    assert "Ready to train" in html
    assert "cannot be reached" not in html


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ({"presigned_url": "file:///etc/passwd", "s3_url": 7}, "without the two addresses"),
        (
            {"presigned_url": "http://169.254.169.254/x?a=b", "s3_url": "https://h/x"},
            "an address without https",
        ),
    ],
)
def test_to_an_odd_address_nothing_is_sent(
    dataset: Dataset, fake: ScriptedProvider, reply: dict[str, Any], error: str
) -> None:
    """P13"""
    fake.script("presigned_url", says(200, reply))
    transfer_now(dataset)
    assert fake.sent("upload") == []
    assert not is_at_provider(dataset)
    assert error in transfer().error


def test_a_worker_that_died_on_the_way_is_followed_by_another(
    dataset: Dataset, fake: ScriptedProvider
) -> None:
    """P15: once its lease has run out."""
    held = {"lease": "0" * 32, "lease_expires_at": now() + timedelta(minutes=1), "bytes_sent": 5}
    Transfer.objects.create(dataset=dataset, connection=connections.default(), **held)
    assert not transfer_next()
    Transfer.objects.update(lease_expires_at=now() - timedelta(seconds=1))
    assert transfer_next()
    assert is_at_provider(dataset)
    assert len(fake.sent("upload")) == 1


def test_the_transfer_begins_with_a_good_verdict(alice: User, fake: ScriptedProvider) -> None:
    good = make_dataset(alice, stored=False, state=Dataset.State.CHECKING, verdict={})
    bad = make_dataset(alice, stored=False, state=Dataset.State.CHECKING, verdict={}, data=b"no zip")
    while tasks.check_dataset():
        pass
    assert transfer_next()
    assert not transfer_next()
    assert is_at_provider(good)
    assert not is_at_provider(bad)
    assert len(fake.sent("upload")) == 1
