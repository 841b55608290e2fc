"""The calls of tus 1.0 that create an upload, return its offset, and end it."""

from __future__ import annotations

import base64
import uuid
from datetime import timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.audit.models import AuditEvent
from finetune_portal.datasets import services
from finetune_portal.datasets.models import Dataset
from finetune_portal.worker import tasks
from tests.people import make_dataset, make_job, signed_in

TUS = {"Tus-Resumable": "1.0.0"}


def begins(client: Client, filename: str = "night.zip", length: str = "1000") -> Any:
    named = base64.b64encode(filename.encode()).decode()
    headers = {**TUS, "Upload-Length": length, "Upload-Metadata": f"filename {named}"}
    return client.post("/uploads/", headers=headers)


def test_an_upload_begins_with_a_row_and_a_file_of_its_size(alice: User) -> None:
    response = begins(signed_in(alice))
    dataset = Dataset.objects.get()
    assert response.status_code == 201
    assert response.headers["Location"] == f"/uploads/{dataset.key}/"
    assert (dataset.owner, dataset.name, dataset.size, dataset.received) == (alice, "night", 1000, 0)
    assert dataset.path.read_bytes() == bytes(1000), "its room on the disk is taken"
    assert AuditEvent.objects.get().action == "dataset.upload"


@pytest.mark.parametrize("filename", ["../../etc/passwd.zip", "..\\..\\boot.zip", "/a/b/c.zip"])
def test_a_file_name_cannot_lead_out_of_the_folder(alice: User, filename: str, settings: Any) -> None:
    """U11"""
    begins(signed_in(alice), filename)
    dataset = Dataset.objects.get()
    assert dataset.path.parent == Path(settings.DATA_DIR) / "datasets"
    assert "/" not in dataset.filename
    assert "\\" not in dataset.filename


@pytest.mark.parametrize(
    ("filename", "length", "status", "sentence"),
    [
        ("cat.png", "1000", 422, "“cat.png” is not a ZIP"),
        ("night.zip", "0", 422, "The file is empty"),
        ("night.zip", "5000000001", 413, "5 GB is the limit"),
        ("night.zip", "9" * 30, 413, "No file is that large"),
        ("night.zip", "9" * 5000, 422, "Enter a whole number"),
        ("night.zip", "", 400, "Send the length of the file"),
        ("night.zip", "-4", 400, "Send the length of the file"),
        ("night.zip", "x", 400, "Send the length of the file"),
    ],
)
def test_a_wrong_file_is_refused_before_a_byte_is_sent(
    alice: User, filename: str, length: str, status: int, sentence: str
) -> None:
    """U7"""
    response = begins(signed_in(alice), filename, length)
    assert response.status_code == status
    assert sentence in response.content.decode()
    assert not Dataset.objects.exists()


def test_what_the_disk_has_no_room_for_is_refused_with_the_numbers(alice: User, settings: Any) -> None:
    """U8"""
    settings.DISK_FLOOR_BYTES = 2**60
    response = begins(signed_in(alice), length="3000000")
    assert response.status_code == 507
    assert "has room for 0 bytes, and this needs 3 MB" in response.content.decode()
    assert not Dataset.objects.exists()


def test_a_person_has_a_limited_number_of_unfinished_uploads(alice: User, bob: User, settings: Any) -> None:
    settings.UPLOADS_OPEN_MAX = 2
    client = signed_in(alice)
    first, second, third = (begins(client) for _ in range(3))
    assert (first.status_code, second.status_code, third.status_code) == (201, 201, 429)
    assert "You have 2 unfinished uploads" in third.content.decode()
    assert len(list((Path(settings.DATA_DIR) / "datasets").iterdir())) == 2, "it leaves no file"
    assert begins(signed_in(bob)).status_code == 201, "each person has a limit of their own"
    client.delete(first.headers["Location"], headers=TUS)
    assert begins(client).status_code == 201
    client.post(f"/datasets/{second.headers['Dataset-Id']}/delete/")
    assert begins(client).status_code == 201, "nor does one count that was deleted in the library"


def test_a_length_that_comes_later_is_refused(alice: User) -> None:
    later = {**TUS, "Upload-Defer-Length": "1"}
    for headers in (later, {**later, "Upload-Length": "1000"}):
        assert signed_in(alice).post("/uploads/", headers=headers).status_code == 400
    assert not Dataset.objects.exists()


@pytest.mark.parametrize("version", [{}, {"Tus-Resumable": "0.2.2"}])
def test_another_version_of_tus_is_refused(alice: User, version: dict[str, str]) -> None:
    client = signed_in(alice)
    place = begins(client).headers["Location"]
    for answer in (
        client.post("/uploads/", headers={**version, "Upload-Length": "9"}),
        client.head(place, headers=version),
        client.delete(place, headers=version),
    ):
        assert (answer.status_code, answer.headers["Tus-Version"]) == (412, "1.0.0")
    assert Dataset.objects.count() == 1


def test_options_lists_what_the_portal_supports(alice: User) -> None:
    answer = signed_in(alice).options("/uploads/")
    assert answer.status_code == 204
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert answer.headers["Tus-Max-Size"] == "5000000000"
    assert answer.headers["Tus-Extension"] == "creation,expiration,termination,checksum"
    assert "sha1" in answer.headers["Tus-Checksum-Algorithm"].split(",")


def test_the_metadata_of_an_upload_comes_back(alice: User) -> None:
    client = signed_in(alice)
    named = base64.b64encode("夜.zip".encode()).decode()
    metadata = f"relativePath bnVsbA==,filename {named},is_confidential"
    place = client.post("/uploads/", headers={**TUS, "Upload-Length": "9", "Upload-Metadata": metadata})
    assert client.head(place.headers["Location"], headers=TUS).headers["Upload-Metadata"] == metadata
    assert Dataset.objects.get().name == "夜"


def test_an_upload_without_a_name_is_taken_and_a_garbled_one_is_not(alice: User) -> None:
    client = signed_in(alice)
    assert client.post("/uploads/", headers={**TUS, "Upload-Length": "9"}).status_code == 201
    assert Dataset.objects.get().filename == "dataset.zip"
    for garbled in ("filename ///", "filename /w=="):
        headers = {**TUS, "Upload-Length": "9", "Upload-Metadata": garbled}
        assert client.post("/uploads/", headers=headers).status_code == 400


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("\u202egpj.zip", "gpj"),
        ("a\x00b\r\n\tc.zip", "ab c"),
        ("cafe\u0301.zip", "caf\u00e9"),
        ("👩\u200d🎨.zip", "👩\u200d🎨"),
        ("می\u200cخواهم.zip", "می\u200cخواهم"),
        ("x" * 5_00 + ".zip", "x" * 120),
        ("NUL.zip", "NUL"),
        (".zip", "dataset"),
    ],
)
def test_a_name_is_a_label_without_tricks(alice: User, filename: str, name: str) -> None:
    """U11"""
    services.start_upload(owner=alice, filename=filename, size=9)
    assert Dataset.objects.get().name == name


@pytest.mark.parametrize(("hours", "stays"), [(24 - 1 / 60, True), (24 + 1 / 60, False)])
def test_an_upload_that_does_not_go_on_is_forgotten_after_a_day(
    alice: User, hours: float, stays: bool
) -> None:
    """U10"""
    quiet = {"state": Dataset.State.RECEIVING, "received": 4, "updated_at": now() - timedelta(hours=hours)}
    abandoned = make_dataset(alice, stored=False, **quiet)
    waited_for = make_dataset(alice, stored=False, **quiet)
    make_job(alice, "waiting", dataset=waited_for)
    whole = make_dataset(alice, stored=False, **quiet | {"state": Dataset.State.READY})
    while tasks.cleanup():
        pass
    assert [abandoned.path.exists(), waited_for.path.exists(), whole.path.exists()] == [stays, True, True]
    assert Dataset.objects.filter(pk=abandoned.pk).exists() == stays


def test_an_upload_says_when_it_would_be_forgotten(alice: User) -> None:
    client = signed_in(alice)
    begun = begins(client)
    ends = parsedate_to_datetime(begun.headers["Upload-Expires"])
    assert timedelta(hours=23, minutes=59) < ends - now() < timedelta(hours=24, minutes=1)
    expires = client.head(begun.headers["Location"], headers=TUS).headers["Upload-Expires"]
    assert abs(parsedate_to_datetime(expires) - ends) < timedelta(seconds=2)


def test_viewers_cannot_upload(charlie: User) -> None:
    """U12"""
    assert begins(signed_in(charlie)).status_code == 403
    assert not Dataset.objects.exists()


def test_strangers_must_sign_in_and_lose_no_upload(client: Client, db: None) -> None:
    assert begins(client).status_code == 401
    assert not Dataset.objects.exists()


def test_an_upload_needs_a_page_of_ours(alice: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    assert begins(client).status_code == 403
    assert not Dataset.objects.exists()


def test_only_the_owner_sees_the_offset(alice: User, bob: User) -> None:
    dataset = make_dataset(alice, stored=False, state=Dataset.State.RECEIVING, received=10)
    url = f"/uploads/{dataset.key}/"
    response = signed_in(alice).head(url, headers=TUS)
    assert response.headers["Upload-Offset"] == "10"
    assert response.headers["Upload-Length"] == str(dataset.size)
    for foreign in (signed_in(bob).head(url, headers=TUS), signed_in(bob).delete(url, headers=TUS)):
        assert foreign.status_code == 404
    assert signed_in(alice).head(f"/uploads/{uuid.uuid4()}/", headers=TUS).status_code == 404


def test_an_upload_can_be_ended(alice: User) -> None:
    client = signed_in(alice)
    url = begins(client).headers["Location"]
    path = Dataset.objects.get().path
    assert client.delete(url, headers=TUS).status_code == 204
    assert not Dataset.objects.exists()
    assert not path.exists()


def test_a_whole_dataset_is_not_ended_by_a_late_cancel(alice: User, dataset: Dataset) -> None:
    answer = signed_in(alice).delete(f"/uploads/{dataset.key}/", headers=TUS)
    assert answer.status_code == 403
    assert "It was not deleted." in answer.content.decode()
    assert Dataset.objects.get() == dataset
    assert dataset.path.exists()


def test_an_upload_that_a_job_waits_for_stays(alice: User) -> None:
    dataset = make_dataset(alice, stored=False, state=Dataset.State.RECEIVING, received=10)
    make_job(alice, "waiting", dataset=dataset)
    assert signed_in(alice).delete(f"/uploads/{dataset.key}/", headers=TUS).status_code == 403
    assert Dataset.objects.get() == dataset
    assert dataset.path.exists()
