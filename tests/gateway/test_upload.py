"""PUT of a ZIP to its signed address, against the real web process."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from finetune_portal.audit.models import AuditEvent
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.sample import make
from finetune_portal.datasets.services import start_upload
from finetune_portal.gateway import services, upload_urls
from tests.gateway.api_client import PRESIGNED, SUBMIT, row_of, submit_body, token_of
from tests.people import person
from tests.waiting import until
from tests.web_server import WebServer

ZIP = make()
HALF = len(ZIP) // 2


@pytest.fixture
def token(web: WebServer) -> str:
    return token_of(person("alice", "maker"), "train")


def presigned(web: WebServer, token: str, name: str = "pairs.zip") -> dict[str, str]:
    headers = {"x-api-key": token}
    answer = requests.get(web.url + PRESIGNED, json={"name": name}, headers=headers, timeout=30)
    assert answer.status_code == 200, answer.text
    return answer.json()


def put(url: str, data: Any = ZIP, **headers: str) -> requests.Response:
    return requests.put(url, data=data, headers=headers, timeout=30)


def begin(url: str, length: int, part: bytes) -> socket.socket:
    """A PUT that has sent a part of what it announced."""
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname or "", parts.port or 80), 10)
    lines = [f"PUT {parts.path}?{parts.query} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {length}"]
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + part)
    return connection


def test_the_file_becomes_a_dataset_of_the_person(web: WebServer, token: str) -> None:
    urls = presigned(web, token, "Night & day")
    assert urls["presigned_url"].startswith(urls["s3_url"] + "?")
    assert urls["s3_url"].endswith("/Night%20&%20day.zip")
    assert not Dataset.objects.exists(), "a GET changes nothing"
    assert put(urls["presigned_url"]).status_code == 200
    dataset = Dataset.objects.get()
    assert (dataset.owner.name, dataset.name, dataset.state) == ("Alice", "Night & day", "checking")
    assert dataset.path.read_bytes() == ZIP
    event = AuditEvent.objects.get(action="dataset.upload")
    assert (event.actor, event.address) == (dataset.owner, "127.0.0.1")
    assert event.detail["token"] == f"nightly …{token[-4:]}"
    assert "signature" not in str(AuditEvent.objects.values())

    body = submit_body(urls["s3_url"])
    answer = requests.post(web.url + SUBMIT, json=body, headers={"x-api-key": token}, timeout=30)
    assert answer.status_code == 200, answer.text
    assert dataset.jobs.get().state == "waiting"


def test_an_address_serves_one_file(web: WebServer, token: str) -> None:
    url = presigned(web, token)["presigned_url"]
    put(url)
    answer = put(url, b"another file")
    assert (answer.status_code, Dataset.objects.get().path.read_bytes()) == (409, ZIP)
    assert requests.get(url, timeout=30).status_code == 404, "and hands none out"


def test_the_same_bytes_may_be_sent_again(web: WebServer, token: str) -> None:
    """A script that lost the answer sends once more, as it may at S3."""
    url = presigned(web, token)["presigned_url"]
    first, again = put(url), put(url)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.headers["ETag"] == again.headers["ETag"]
    other = bytes([ZIP[0] ^ 1]) + ZIP[1:]
    assert put(url, other).status_code == 409, "as many bytes, but others"
    assert Dataset.objects.get().path.read_bytes() == ZIP
    Dataset.objects.get().path.unlink()
    assert put(url).status_code == 409, "the portal cannot compare them any more"


def test_a_put_that_broke_off_begins_anew_at_the_same_address(web: WebServer, token: str) -> None:
    url = presigned(web, token)["presigned_url"]
    connection = begin(url, len(ZIP), ZIP[:HALF])
    until(Dataset.objects.exists)
    assert put(url).status_code == 423, "while the first one still sends"
    connection.close()
    until(lambda: not Dataset.objects.exists())
    assert put(url).status_code == 200
    assert Dataset.objects.get().path.read_bytes() == ZIP


def test_a_put_that_a_killed_process_left_begins_anew(web: WebServer, token: str) -> None:
    """The row and half of the file stay behind; a job that waits for them goes on."""
    urls = presigned(web, token)
    grant = upload_urls.read_grant(
        urlsplit(urls["presigned_url"]).path, urlsplit(urls["presigned_url"]).query
    )
    assert grant
    owner = row_of(token).owner
    left = start_upload(owner=owner, filename="pairs.zip", size=99, key=grant.key)
    left.path.write_bytes(b"x" * 50)
    assert put(urls["presigned_url"]).status_code == 200
    dataset = Dataset.objects.get()
    assert (dataset.pk, dataset.size, dataset.path.read_bytes()) == (left.pk, len(ZIP), ZIP)


def test_two_at_once_end_in_one_whole_file(web: WebServer, token: str) -> None:
    url = presigned(web, token)["presigned_url"]
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(put(url).status_code)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 200 in statuses
    assert set(statuses) <= {200, 409, 423}, "one that comes late enough repeats what is there"
    assert Dataset.objects.get().path.read_bytes() == ZIP


@pytest.mark.parametrize(
    ("headers", "data", "status"),
    [
        ({}, b"", 422),
        ({"Transfer-Encoding": "chunked"}, iter([ZIP]), 411),
    ],
    ids=["empty", "no length"],
)
def test_what_is_no_upload_is_refused(
    web: WebServer, token: str, headers: dict[str, str], data: Any, status: int
) -> None:
    assert put(presigned(web, token)["presigned_url"], data, **headers).status_code == status
    assert not Dataset.objects.exists()


def test_one_larger_than_the_limit_is_refused_before_it_is_sent(web: WebServer, token: str) -> None:
    with begin(presigned(web, token)["presigned_url"], 6_000_000_000, b"PK") as connection:
        assert b" 413 " in connection.makefile("rb").readline()
    assert not Dataset.objects.exists()


def test_a_changed_or_old_address_is_refused(web: WebServer, token: str, monkeypatch: Any) -> None:
    one, two = (presigned(web, token)["presigned_url"] for _ in range(2))
    swapped = f"{one.partition('?')[0]}?{two.partition('?')[2]}"
    monkeypatch.setattr(time, "time", lambda: 1_700_000_000.0)
    grant = upload_urls.UploadGrant(uuid.uuid4(), row_of(token).pk, "a.zip")
    old = upload_urls.presigned_url(web.url, grant)
    monkeypatch.undo()
    for url in (one[:-1], swapped, old, one.partition("?")[0]):
        answer = put(url)
        assert (answer.status_code, answer.text[:15]) == (403, "This upload URL"), url
    assert not Dataset.objects.exists()


def test_an_address_dies_with_its_token(web: WebServer, token: str) -> None:
    url = presigned(web, token)["presigned_url"]
    services.revoke(row_of(token), actor=row_of(token).owner)
    answer = put(url)
    assert answer.status_code == 403
    assert "may not upload any more" in answer.text
