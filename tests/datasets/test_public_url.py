"""A dataset at a public address is downloaded through the guard and checked like any other."""

from __future__ import annotations

import os
import re
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from ipaddress import ip_network
from typing import Any

import pytest
from django.utils.timezone import now

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.datasets import downloading, retention, sample
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.transfer import transfer_next
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.sync import submit
from finetune_portal.worker import tasks
from tests.people import HTMX, form_data, made_preview, make_job, signed_in
from tests.worker.driving import text_of


class FileServer(ThreadingHTTPServer):
    """One ZIP at every path; the path's first word can take a habit away from the server."""

    def __init__(self, data: bytes) -> None:
        super().__init__(("127.0.0.2", 0), Handler)
        self.data, self.sent = data, 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.2:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: FileServer
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, *, body: bool) -> None:
        habit = self.path.split("/")[1]
        if habit == "gone" or (habit == "no-head" and not body):
            self.send_response(404 if habit == "gone" else 405)
            self.send_header("Content-Length", "0")
            return self.end_headers()
        data, asked = self.server.data, re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        has_parts = habit not in ("no-ranges", "breaks-off")
        if asked and has_parts:
            data = data[int(asked[1]) : int(asked[2]) + 1]
        self.send_response(206 if asked and has_parts else 200)
        if habit == "page":
            self.send_header("Content-Type", "text/html; charset=utf-8")
        cut = len(data) // 2 if habit == "breaks-off" and body else len(data)
        if habit in ("no-length", "page"):
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.server.sent += cut
            with suppress(OSError):  # the portal has closed the connection
                self.wfile.write(data[:cut])
            self.close_connection = cut < len(data)
        return None

    def log_message(self, *_: object) -> None:
        pass


def padded(extra: int) -> bytes:
    packed = BytesIO(sample.make())
    with zipfile.ZipFile(packed, "a") as archive:
        archive.writestr("notes.bin", os.urandom(extra))
    return packed.getvalue()


@pytest.fixture
def files(settings: Any) -> Iterator[FileServer]:
    settings.OUTBOUND_NETWORKS = [ip_network("127.0.0.2/32")]
    server = FileServer(padded(20_000_000))
    yield server
    server.shutdown()
    server.server_close()


def changed(name: str, change: Callable[[bytes], bytes]) -> bytes:
    """The sample dataset, in which one file is changed."""
    packed = BytesIO()
    with zipfile.ZipFile(BytesIO(sample.make())) as source, zipfile.ZipFile(packed, "w") as archive:
        for each in source.namelist():
            data = source.read(each)
            archive.writestr(each, change(data) if each == name else data)
    return packed.getvalue()


def look_at(alice: User, url: str) -> Dataset:
    answer = signed_in(alice).post("/datasets/from-url/", {"source_url": url}, headers=HTMX)
    assert "dataset-chosen" in answer.headers["HX-Trigger"]
    while tasks.check_dataset():
        pass
    return Dataset.objects.get()


def test_its_pairs_are_shown(alice: User, files: FileServer) -> None:
    dataset = look_at(alice, f"{files.url}/sets/night.zip")
    assert (dataset.state, dataset.name, len(dataset.pairs)) == (Dataset.State.READY, "night", 6)
    assert dataset.size == len(files.data)
    assert all(pair["caption"] for pair in dataset.pairs)
    picture = made_preview(signed_in(alice), f"/datasets/{dataset.pk}/0-start-small.webp")
    assert b"".join(picture.streaming_content)[8:12] == b"WEBP"  # type: ignore[attr-defined]


def test_the_provider_gets_the_address_itself(alice: User, files: FileServer) -> None:
    dataset = look_at(alice, f"{files.url}/night.zip")
    assert dataset.is_at_provider
    assert dataset.s3_url_for(connections.default()) == f"{files.url}/night.zip"
    assert not transfer_next(), "there is nothing to transfer"


@pytest.mark.parametrize(
    ("habit", "sentence"),
    [
        ("no-length", "does not send the size of the file (Content-Length)"),
        ("no-head", "answers HEAD with status 405"),
        ("gone", "answers HEAD with status 404"),
    ],
)
def test_what_the_provider_could_not_fetch_is_refused_in_words(
    alice: User, files: FileServer, habit: str, sentence: str
) -> None:
    dataset = look_at(alice, f"{files.url}/{habit}/night.zip")
    assert dataset.is_rejected
    assert sentence in dataset.problems[0]


def test_a_refused_address_is_an_error_of_the_form_and_no_dataset(
    alice: User, dana: User, files: FileServer
) -> None:
    dataset = look_at(alice, f"{files.url}/gone/night.zip")
    client = signed_in(alice)
    on_form = {**HTMX, "HX-Current-URL": "http://testserver/jobs/new/"}
    answer = client.get(f"/datasets/{dataset.pk}/status/", headers=on_form)
    html = answer.content.decode()
    assert "dataset-refused" in answer.headers["HX-Trigger"]
    assert re.search(r'id="id_source_url_error"[^>]*hx-swap-oob="true">[^<]*status 404', html)
    assert "every 1s" not in html, "nothing polls on"
    assert f'<option value="{dataset.pk}"' not in text_of(client, "/jobs/new/")
    for page in ("/datasets/", "/", f"/team/{alice.pk}/"):
        assert f"/datasets/{dataset.pk}/" not in text_of(client, page)
        assert f'<option value="{dataset.pk}"' not in text_of(client, page)
    assert "status 404" in text_of(client, f"/datasets/{dataset.pk}/"), "without JavaScript it is said here"
    assert not retention.clear_refused_urls()
    Dataset.objects.update(updated_at=now() - timedelta(hours=2))
    job = make_job(alice, "refused", dataset=dataset)
    assert not retention.clear_refused_urls(), "a job still names it"
    job.delete()
    assert retention.clear_refused_urls()
    assert not Dataset.objects.exists()


def test_a_file_over_the_limit_is_refused(alice: User, files: FileServer, settings: Any) -> None:
    settings.DATASET_MAX_BYTES = 1000
    assert "over the limit" in look_at(alice, f"{files.url}/night.zip").problems[0]


def test_what_is_no_address_is_refused_at_once(alice: User) -> None:
    answer = signed_in(alice).post(
        "/datasets/from-url/", {"source_url": "ftp://example.com/a.zip"}, headers=HTMX
    )
    assert answer.status_code == 422
    assert "not a web address" in answer.content.decode()
    assert not Dataset.objects.exists()


def test_the_form_itself_takes_an_address(alice: User, files: FileServer) -> None:
    data = form_data(source_url=f"{files.url}/night.zip")
    signed_in(alice).post("/jobs/new/", data)
    dataset = Dataset.objects.get()
    assert dataset.source_url == data["source_url"]
    assert dataset.jobs.get().state == State.WAITING
    tasks.check_dataset()
    submit.release_waiting()
    assert dataset.jobs.get().state == State.QUEUED


def test_the_form_says_at_the_field_what_is_no_address(alice: User) -> None:
    answer = signed_in(alice).post("/jobs/new/", form_data(source_url="file:///etc/passwd"))
    assert answer.status_code == 422
    assert "not a web address" in answer.content.decode()
    assert not Dataset.objects.exists()


def test_every_picture_is_looked_at(alice: User, files: FileServer) -> None:
    files.data = changed("04_end.png", lambda data: data[: len(data) // 2])
    dataset = look_at(alice, f"{files.url}/night.zip")
    assert dataset.problems == ["“04_end.png” is damaged and cannot be opened. Save it again."]


def test_it_can_be_repaired_like_any_other(alice: User, files: FileServer) -> None:
    files.data = changed("04.txt", lambda data: "the man’s hat".encode("cp1252"))
    dataset = look_at(alice, f"{files.url}/night.zip")
    assert dataset.is_rejected
    assert (
        "Which reading of the captions is right?"
        in signed_in(alice).get(f"/datasets/{dataset.pk}/").content.decode()
    )
    signed_in(alice).post(f"/datasets/{dataset.pk}/repair/")
    assert tasks.make_version()
    assert tasks.check_dataset()
    version = Dataset.objects.get(parent=dataset)
    assert (version.state, version.pairs[3]["caption"]) == (Dataset.State.READY, "the man’s hat")


def test_the_form_offers_the_repair_of_an_address(alice: User, files: FileServer) -> None:
    files.data = changed("04.txt", lambda data: "the man’s hat".encode("cp1252"))
    dataset = look_at(alice, f"{files.url}/night.zip")
    client, on_form = signed_in(alice), {**HTMX, "HX-Current-URL": "http://testserver/jobs/new/"}
    answer = client.get(f"/datasets/{dataset.pk}/status/", headers=on_form)
    assert "HX-Trigger" not in answer.headers
    assert "Which reading of the captions is right?" in answer.content.decode()
    Dataset.objects.update(updated_at=now() - timedelta(hours=2))
    assert not retention.clear_refused_urls(), "its person may come back to it"
    assert f"/datasets/{dataset.pk}/" in text_of(client, "/datasets/")


def test_a_download_that_broke_off_goes_on(alice: User, files: FileServer) -> None:
    signed_in(alice).post("/datasets/from-url/", {"source_url": f"{files.url}/night.zip"}, headers=HTMX)
    dataset = Dataset.objects.get()
    dataset.path.parent.mkdir(parents=True, exist_ok=True)
    dataset.path.write_bytes(files.data[:15_000_000] + b"more than was committed")
    Dataset.objects.update(size=len(files.data), received=15_000_000)
    while tasks.check_dataset():
        pass
    dataset.refresh_from_db()
    assert (dataset.state, files.sent) == (Dataset.State.READY, len(files.data) - 15_000_000)


@pytest.fixture
def short_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """One chunk each, of which the file has five."""
    monkeypatch.setattr(downloading, "SLICE_SECONDS", 0.0)


@pytest.mark.usefixtures("short_slices")
def test_a_server_that_sends_no_parts_sends_the_file_once(alice: User, files: FileServer) -> None:
    dataset = look_at(alice, f"{files.url}/no-ranges/night.zip")
    assert (dataset.state, dataset.received) == (Dataset.State.READY, len(files.data))
    assert (files.sent, dataset.sha256) == (len(files.data), sha256(files.data).hexdigest())
    assert dataset.path.read_bytes() == files.data
    assert downloading._streams == {}


@pytest.mark.usefixtures("short_slices")
def test_another_worker_begins_anew_where_no_parts_are_sent(alice: User, files: FileServer) -> None:
    address = f"{files.url}/no-ranges/night.zip"
    signed_in(alice).post("/datasets/from-url/", {"source_url": address}, headers=HTMX)
    for _ in range(2):
        assert tasks.check_dataset()
    assert Dataset.objects.get().received == 2 * downloading.CHUNK
    downloading._streams.popitem()[1].close()  # it stays with the process that ended
    while tasks.check_dataset():
        pass
    dataset = Dataset.objects.get()
    assert (dataset.state, dataset.path.read_bytes()) == (Dataset.State.READY, files.data)


@pytest.mark.usefixtures("short_slices")
def test_a_dataset_that_was_deleted_meanwhile_holds_no_connection(alice: User, files: FileServer) -> None:
    address = f"{files.url}/no-ranges/night.zip"
    signed_in(alice).post("/datasets/from-url/", {"source_url": address}, headers=HTMX)
    assert tasks.check_dataset()
    first = Dataset.objects.get()
    assert list(downloading._streams) == [first.pk]
    signed_in(alice).post(f"/datasets/{first.pk}/delete/")
    signed_in(alice).post("/datasets/from-url/", {"source_url": f"{files.url}/b.zip"}, headers=HTMX)
    while tasks.check_dataset():
        pass
    assert downloading._streams == {}


def test_a_server_without_parts_that_breaks_off_is_refused_in_words(alice: User, files: FileServer) -> None:
    dataset = look_at(alice, f"{files.url}/breaks-off/night.zip")
    assert dataset.problems == [downloading.BROKE_OFF]
    assert not dataset.path.exists()
    assert files.sent == 3 * (len(files.data) // 2)


@pytest.mark.parametrize("habit", ["page", "page-named-zip"])
def test_a_share_link_that_leads_to_a_page_says_which_link_to_use(
    alice: User, files: FileServer, habit: str
) -> None:
    files.data = b"\n<!DOCTYPE html><title>Sign in</title>"
    dataset = look_at(alice, f"{files.url}/{habit}/night.zip")
    assert dataset.problems[0].startswith("This address leads to a web page, not to the file. Use the link")
    assert "dl=1" in dataset.problems[0]
    assert not dataset.path.exists()
