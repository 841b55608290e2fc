"""The ways by which a dataset comes into the portal, each to the end: the file that a training reads.

A way takes a ZIP, follows the check and the repair that its person is offered, and returns a `Delivery`. The
page of the browser is in tests/e2e/test_same_pairs.py.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple

import requests
from django.core.files.uploadedfile import SimpleUploadedFile

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.datasets.models import Dataset
from finetune_portal.engine import dataset_source
from finetune_portal.engine.storage import keys
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.sync import submit
from finetune_portal.worker import tasks
from tests.gateway.api_client import DETAILS, PRESIGNED, SUBMIT, submit_body, token_of
from tests.people import form_data, signed_in
from tests.running import RunningEngine
from tests.web_server import WebServer
from tests.worker.driving import point_at, transfer_now

NETWORK = "127.0.0.2"


class Delivery(NamedTuple):
    """The verdict on what came in, what its person was told of a refusal, and the file at the engine."""

    verdict: dict[str, Any]
    refusal: str
    file: Path | None


class Ways:
    """`alice` sends ZIPs; `engine` is the provider."""

    def __init__(
        self, alice: User, engine: RunningEngine, web: WebServer, settings: Any, folder: Path
    ) -> None:
        self.alice, self.engine, self.web, self.folder = alice, engine, web, folder
        self.client = signed_in(alice)
        self.token = token_of(alice, "train")
        point_at(settings, engine)
        settings.OUTBOUND_NETWORKS = [ip_network(f"{NETWORK}/32")]

    def form(self, content: bytes) -> Delivery:
        """The form without JavaScript: one multipart post with the file and the fields of the job."""
        file = SimpleUploadedFile("pairs.zip", content, "application/zip")
        answer = self.client.post("/jobs/new/", form_data(file=file))
        return self._delivered(Job.objects.get(pk=int(answer.headers["Location"].strip("/").split("/")[-1])))

    def gateway(self, content: bytes) -> Delivery:
        """A script with a personal token: a PUT to a presigned URL, then the submit."""
        headers = {"x-api-key": self.token}
        name = {"name": "pairs.zip"}
        urls = requests.get(self.web.url + PRESIGNED, json=name, headers=headers, timeout=60).json()
        requests.put(urls["presigned_url"], data=content, timeout=60).raise_for_status()
        body = submit_body(urls["s3_url"])
        answer = requests.post(self.web.url + SUBMIT, json=body, headers=headers, timeout=60)
        assert answer.status_code == 200, answer.text
        job = Job.objects.get(form_key=uuid.UUID(answer.json()["finetune_id"]))
        return self._delivered(job)

    def address(self, content: bytes) -> Delivery:
        """The form with a public address, where a server has the ZIP."""
        with served(content) as url:
            answer = self.client.post("/jobs/new/", form_data(source_url=url))
            job = Job.objects.get(pk=int(answer.headers["Location"].strip("/").split("/")[-1]))
            return self._delivered(job)

    def _delivered(self, job: Job) -> Delivery:
        dataset = job.dataset
        assert dataset
        original, refusal = _checked(dataset), ""
        if original.is_rejected:
            submit.release_waiting()
            refusal = self._told(job)
        dataset = original
        if dataset.is_rejected and dataset.repairs:
            self.client.post(f"/datasets/{dataset.pk}/repair/")
            assert tasks.make_version()
            dataset = _checked(Dataset.objects.get(recipe__from=dataset.pk))
        file = None if dataset.is_rejected else self._at_engine(dataset)
        return Delivery(original.verdict, refusal, file)

    def _told(self, job: Job) -> str:
        """What the API says of the job, which its page shows, too."""
        fields = {"request_id": str(job.form_key)}
        headers = {"x-api-key": self.token}
        answer = requests.get(self.web.url + DETAILS, json=fields, headers=headers, timeout=60)
        return str(answer.json()["finetune"]["error_message"])

    def _at_engine(self, dataset: Dataset) -> Path:
        if not dataset.source_url:
            transfer_now(dataset)
        address = Dataset.objects.get(pk=dataset.pk).s3_url_for(connections.default())
        assert bool(keys.from_url(address)) != bool(dataset.source_url)
        return dataset_source.local_copy(
            address,
            storage=self.engine.data_dir / "engine" / "storage",
            into=self.folder / "fetched.zip",
            allow=None,
            check_in=lambda: None,
        )


def _checked(dataset: Dataset) -> Dataset:
    """The dataset after the worker's check, in however many slices."""
    while (current := Dataset.objects.get(pk=dataset.pk)).state == Dataset.State.CHECKING:
        assert tasks.check_dataset()
    return current


class _File(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        content = self.server.content  # type: ignore[attr-defined]
        _, _, span = self.headers.get("Range", "").partition("=")
        first, last = (int(each) for each in span.split("-")) if span else (0, len(content) - 1)
        body = content[first : last + 1]
        self.send_response(206 if span else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served(content: bytes) -> Iterator[str]:
    """The address at which a server has the ZIP."""
    with ThreadingHTTPServer((NETWORK, 0), _File) as server:
        server.content = content  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://{NETWORK}:{server.server_port}/pairs.zip"
        server.shutdown()
