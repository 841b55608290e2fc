"""A dataset at a public address is checked by HEAD and ranged GETs through the guard, never fetched whole."""

from __future__ import annotations

import os
import re
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from ipaddress import ip_network
from typing import Any

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.datasets import sample
from finetune_portal.datasets.models import Dataset
from finetune_portal.datasets.transfer import transfer_next
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.sync import submit
from finetune_portal.worker import tasks
from tests.people import HTMX, form_data, signed_in


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
        if asked and habit != "no-ranges":
            data = data[int(asked[1]) : int(asked[2]) + 1]
        self.send_response(206 if asked and habit != "no-ranges" else 200)
        if habit == "no-length":
            self.send_header("Connection", "close")
            self.close_connection = True
        else:
            self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.server.sent += len(data)
            self.wfile.write(data)
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


def look_at(alice: User, url: str) -> Dataset:
    answer = signed_in(alice).post("/datasets/from-url/", {"source_url": url}, headers=HTMX)
    assert "dataset-chosen" in answer.headers["HX-Trigger"]
    assert tasks.check_dataset()
    return Dataset.objects.get()


def test_pairs_are_shown_without_fetching_it_all(alice: User, files: FileServer) -> None:
    dataset = look_at(alice, f"{files.url}/sets/night.zip")
    assert (dataset.state, dataset.name, len(dataset.pairs)) == (Dataset.State.READY, "night", 6)
    assert dataset.size == len(files.data)
    assert all(pair["caption"] for pair in dataset.pairs)
    assert files.sent < 4_000_000
    picture = signed_in(alice).get(f"/datasets/{dataset.pk}/0-start-small.webp")
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
        ("no-ranges", "sends no parts"),
    ],
)
def test_what_the_provider_could_not_fetch_is_refused_in_words(
    alice: User, files: FileServer, habit: str, sentence: str
) -> None:
    dataset = look_at(alice, f"{files.url}/{habit}/night.zip")
    assert dataset.is_rejected
    assert sentence in dataset.problems[0]


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
