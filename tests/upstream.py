"""A scripted fake of the vendor's API, for what the engine never does: faults, oddities, lost answers.

It answers rightly by itself. `script("submit", breaks(taken=True))` replaces its next answers to one call.
Its own ledger, `jobs` and `charged()`, is the truth that a test compares the portal with. Knows no Django.
"""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import struct
import sys
import threading
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

KEY = "a-key-for-the-fake-upstream"
RUNNING = ("REQUESTED", "DATA_PROCESSING", "TRAINING_INITIATED")
TRAINED = ("TRAINING_COMPLETED", "INFERENCE_QUEUED", "DEPLOYING", "AVAILABLE")
CALLS = {
    ("POST", "/finetune/request/submit"): "submit",
    ("GET", "/finetune/request/details"): "details",
    ("GET", "/finetune/request/list"): "list",
    ("GET", "/finetune/request/upload/pre-signed-url"): "presigned_url",
    ("PUT", "/finetune/request/access-update"): "set_public",
    ("GET", "/finetune/request/file/download"): "download_url",
    ("GET", "/v1/get-user-credits"): "credits",
    ("POST", "/upload-asset"): "host",
    ("GET", "/extra"): "extra",
    ("GET", "/extra/progress"): "progress",
    ("GET", "/extra/sample"): "sample",
    ("POST", "/extra/cancel"): "cancel",
}
CALLED = {*CALLS.values(), "upload", "fetch", "run", "picture"}
PRICE, BALANCE = 2.5, 1000.0
WEIGHTS = b"the weights of a fake training"
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAADAAAAAgCAIAAADbtmxLAAAAPUlEQVR42u3QUREAEBBAwWPkkEQEIcXyIYwaN+xLsP"
    "PKWSMyVSNZQEBAQEBAQK+D2tzdISAgICAgIKCfQRfyzgM8mwpqkQAAAABJRU5ErkJggg=="
)
BLOCK = 64 * 1024


@dataclass(frozen=True)
class Answer:
    """How one call is answered. `taken`: it is carried out, and a submit charged, whatever is answered."""

    status: int = 200
    body: bytes | None = None  # None is the right body, that of a call which was carried out
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    ending: str = "whole"  # or half, endless, drip, hang, close, reset, raw
    taken: bool = True


def says(status: int, told: Any = b"", *, taken: bool | None = None, **headers: str) -> Answer:
    """This status and body: bytes as they are, all else as JSON. Carried out if it is no error."""
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, body, named, taken=status < 400 if taken is None else taken)


def breaks(ending: str = "close", *, taken: bool) -> Answer:
    """No answer: the connection is closed, or torn (`reset`), or left open (`hang`)."""
    return Answer(ending=ending, taken=taken)


def half() -> Answer:
    """Carried out, but the right answer breaks in its middle."""
    return Answer(ending="half")


def endless(ending: str = "endless", body: bytes = b"[" * BLOCK) -> Answer:
    """A body that is sent again and again, without a pause or slowly (`drip`)."""
    return Answer(body=body, ending=ending)


def raw(answer: bytes, *, taken: bool = False) -> Answer:
    """These bytes in place of a whole HTTP answer, then the end."""
    return Answer(body=answer, ending="raw", taken=taken)


@dataclass(frozen=True)
class Request:
    """What arrived, complete. Header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    port: int  # the client's: one connection, one port

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        """The fields of a multipart or an urlencoded form."""
        kind = self.headers.get("content-type", "")
        if not kind.startswith("multipart/form-data"):
            return dict(parse_qsl(self.body.decode()))
        message = BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + self.body)
        parts = [part for part in message.walk() if not part.is_multipart()]
        names = [str(part.get_param("name", header="content-disposition")) for part in parts]
        return dict(zip(names, (str(part.get_payload()) for part in parts), strict=True))


@dataclass
class Job:
    """A training in the ledger. It was paid, so one that no answer told of counts as well."""

    id: str
    name: str
    told: Mapping[str, Any]
    status: str
    ahead: list[str]
    hidden: int  # list calls that it is not shown to
    public: bool = False
    error_message: str | None = None

    @property
    def cloud_storage_url(self) -> str | None:
        there = self.status in TRAINED
        return f"https://segmind-sd-models.s3.amazonaws.com/{self.id}/weights.safetensors" if there else None


class Upstream:
    """One fake on one port. It can be stopped and started again: the ledger and the port stay.

    `states`: what a new job passes, one at each list call; a shorter one skips states.
    `late`: the list calls that do not show a new job yet. `newest_first`: the order of the list.
    `submit_id`, `item_ids`: the names of the id in the answer to a submit, and in list and details.
    `can`: its abilities beyond the vendor's API, which has none; `tells`: what it tells of each training.
    """

    def __init__(self, key: str = KEY) -> None:
        self.key = key
        self.states: tuple[str, ...] = RUNNING + TRAINED
        self.late = 0
        self.newest_first = False
        self.submit_id = "finetune_id"
        self.item_ids: tuple[str, ...] = ("id", "finetune_id")
        self.can: tuple[str, ...] = ()
        self.tells: dict[str, Any] = {}
        self.jobs: list[Job] = []
        self.requests: list[Request] = []
        self.stored: dict[str, bytes] = {}
        self.runs: list[Request] = []  # each was paid
        self.troubles: list[BaseException] = []
        self.stopping = threading.Event()
        self._answers: defaultdict[str, deque[Answer]] = defaultdict(deque)
        self._lock = threading.RLock()
        self._server: _Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> Self:
        self.stopping.clear()
        self._server = _Server(("127.0.0.1", self._port), self)
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def stop(self) -> None:
        """Refuse connections from now on, and end those that are open."""
        if self._server:
            self.stopping.set()
            self._server.shutdown()
            self._server.hang_up()
            self._server.server_close()
            self._server = None
        assert not self.troubles, self.troubles

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def script(self, call: str, *answers: Answer) -> None:
        """The next answers to this call (a value of CALLS, or `upload`, `fetch`), in this order."""
        assert call in CALLED, call
        with self._lock:
            self._answers[call].extend(answers)

    def unscript(self) -> None:
        """Answer rightly again."""
        with self._lock:
            self._answers.clear()

    def charged(self, name: str) -> int:
        """How many paid submits of this name were accepted."""
        with self._lock:
            return sum(job.name == name for job in self.jobs)

    def job(self, job_id: str) -> Job | None:
        return next((job for job in self.jobs if job.id == job_id), None)

    def adds(self, name: str, **told: Any) -> Job:
        """A job as if made elsewhere with the same key, or by a submit."""
        with self._lock:
            first, *ahead = self.states
            job = Job(str(uuid.uuid4()), name, told, first, ahead, self.late)
            job.public = bool(told.get("segmind_public"))
            self.jobs.append(job)
            return job

    def sent(self, call: str) -> list[Request]:
        """The requests of this call, oldest first."""
        with self._lock:
            return [request for request in self.requests if call_of(request) == call]

    def receive(self, request: Request) -> tuple[Answer, bytes]:
        """Record a request, carry it out if it is to be, and tell the answer and the right body."""
        with self._lock:
            self.requests.append(request)
            call = call_of(request)
            queue = self._answers[call]
            answer = queue.popleft() if queue else Answer()
            if call not in CALLED:
                return says(404, {"error": "Not found"}), b""
            if not answer.taken:
                return answer, b""
            if refusal := self._refuses(call, request):
                return refusal, b""
            status, told = getattr(self, f"_{call}")(request)
            if status != 200 and answer.body is None:
                return says(status, told), b""
            if call == "run" and answer.body is None:
                answer = replace(answer, headers={"Content-Type": "image/png", **answer.headers})
            if call == "upload":
                etag = hashlib.md5(request.body).hexdigest()
                answer = replace(answer, headers={"ETag": f'"{etag}"', **answer.headers})
            return answer, told if isinstance(told, bytes) else json.dumps(told).encode()

    def _refuses(self, call: str, request: Request) -> Answer | None:
        if call == "picture":
            return None
        if call not in ("upload", "fetch"):
            known = request.headers.get("x-api-key") == self.key
            return None if known else says(401, {"error": "Unauthorized"})
        signed = "Signature=" in request.query
        return None if signed else says(403, b"<Error><Code>AccessDenied</Code></Error>")

    def _submit(self, request: Request) -> tuple[int, Any]:
        job = self.adds(**request.json)
        return 200, {"status": job.status, self.submit_id: job.id, "name": job.name}

    def _list(self, request: Request) -> tuple[int, Any]:
        shown = [job for job in self.jobs if not job.hidden]
        items = [self._item(job) for job in shown]
        for job in self.jobs:
            if not job.hidden and job.ahead:
                job.status = job.ahead.pop(0)
            job.hidden = max(0, job.hidden - 1)
        return 200, items[::-1] if self.newest_first else items

    def _item(self, job: Job) -> dict[str, Any]:
        return self._common(job) | {
            "segmind_model_path": None,
            "advance_parameters": job.told.get("advance_parameters"),
            "segmind_public_model": job.public,
            "train_type": "LORA",
            "theme": "KONTEXT",
            "cloud_storage_url": None,
            "model_information": {},
        }

    def _details(self, request: Request) -> tuple[int, Any]:
        job = self.job(str(request.json.get("request_id")))
        if job is None:
            return 404, {"error": "Not found"}
        told = self._common(job) | {
            "instance_prompt": job.told.get("instance_prompt"),
            "slug": f"{job.id}-{job.name.lower()}",
            "public_model": job.public,
            "cloud_storage_url": job.cloud_storage_url,
            "created_ts": "2025-01-01T00:00:00Z",
            "updated_ts": "2025-01-01T00:00:00Z",
        }
        return 200, {"finetune": told}

    def _common(self, job: Job) -> dict[str, Any]:
        return dict.fromkeys(self.item_ids, job.id) | {
            "name": job.name,
            "data_source_path": job.told.get("data_source_path"),
            "status": job.status,
            "error_message": job.error_message,
            "source_type": "AWS_S3",
            "base_model": "FLUX",
        }

    def _presigned_url(self, request: Request) -> tuple[int, Any]:
        s3_url = f"{seen_at(request)}/storage/uploads/{uuid.uuid4()}-{request.json.get('name')}.zip"
        query = f"X-Amz-Expires=3600&X-Amz-SignedHeaders=host&X-Amz-Signature={uuid.uuid4().hex}"
        return 200, {"presigned_url": f"{s3_url}?{query}", "s3_url": s3_url}

    def _set_public(self, request: Request) -> tuple[int, Any]:
        job = self.job(request.form.get("request_id", ""))
        if job is None:
            return 404, {"error": "Not found"}
        job.public = request.form.get("segmind_public") == "True"
        return 200, 200

    def _download_url(self, request: Request) -> tuple[int, Any]:
        path = urlsplit(request.form.get("cloud_storage_url", "")).path
        query = f"AWSAccessKeyId=fake&Signature={uuid.uuid4().hex}&Expires={int(time.time()) + 3600}"
        return 200, f"{seen_at(request)}/storage{path}?{query}".encode()

    def _credits(self, request: Request) -> tuple[int, Any]:
        return 200, {"credits": BALANCE - PRICE * len(self.jobs), "free-credits": 0}

    def _host(self, request: Request) -> tuple[int, Any]:
        head, _, data = request.json["data_urls"][0].partition(",")
        assert head.startswith("data:image/")
        path = f"/pictures/{uuid.uuid4()}"
        self.stored[path] = base64.b64decode(data)
        return 200, {"file_urls": [f"{seen_at(request)}{path}"], "message": "Uploaded"}

    def _run(self, request: Request) -> tuple[int, Any]:
        """The bare picture, as the SDK has it."""
        self.runs.append(request)
        return 200, PICTURE

    def _picture(self, request: Request) -> tuple[int, Any]:
        return (200, self.stored[request.path]) if request.path in self.stored else (404, b"")

    def _extra(self, request: Request) -> tuple[int, Any]:
        return (200, {"version": 1, "can": self.can}) if self.can else (404, {"error": "Not found"})

    def _progress(self, request: Request) -> tuple[int, Any]:
        return (200, self.tells) if self.can else (404, {"error": "Not found"})

    def _sample(self, request: Request) -> tuple[int, Any]:
        return (200, PICTURE) if self.can else (404, {"error": "Not found"})

    def _cancel(self, request: Request) -> tuple[int, Any]:
        job = self.job(str(request.json.get("request_id")))
        if job is None or job.status not in RUNNING:
            return 409, {"error": "The training is over."}
        job.status, job.error_message, job.ahead = "FAILED", "Cancelled.", []
        return 200, {"cancelled": True}

    def _upload(self, request: Request) -> tuple[int, Any]:
        self.stored[request.path] = request.body
        return 200, b""

    def _fetch(self, request: Request) -> tuple[int, Any]:
        return 200, WEIGHTS


def seen_at(request: Request) -> str:
    """Where the caller found it, which may be a proxy before it."""
    return f"http://{request.headers['host']}"


def call_of(request: Request) -> str:
    if request.path.startswith("/storage/"):
        return "upload" if request.method == "PUT" else "fetch"
    if request.path.startswith("/pictures/"):
        return "picture"
    if request.method == "POST" and request.path.startswith("/v1/"):
        return "run"
    return CALLS.get((request.method, request.path), "unknown")


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that server_close waits for them
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], upstream: Upstream) -> None:
        self.upstream = upstream
        self.accepted: list[socket.socket] = []
        super().__init__(address, _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self.accepted.append(connection)
        return connection, address

    def hang_up(self) -> None:
        for connection in self.accepted:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        exc = sys.exception()
        if exc and not isinstance(exc, ConnectionError):
            self.upstream.troubles.append(exc)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:  # the client left; nothing was asked for
            self.close_connection = True
            return
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        upstream = self.server.upstream
        port = self.client_address[1]
        request = Request(self.command, parts.path, parts.query, headers, body, port)
        answer, right = upstream.receive(request)
        upstream.stopping.wait(answer.delay)
        self._deliver(answer, right if answer.body is None else answer.body)

    do_GET = do_PUT = do_POST = handle_any

    def _deliver(self, answer: Answer, body: bytes) -> None:
        if answer.ending == "whole":
            self._head(answer, {"Content-Length": str(len(body))})
            self.wfile.write(body)
            return
        self.close_connection = True
        if answer.ending == "hang":
            self.server.upstream.stopping.wait()
        elif answer.ending == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        elif answer.ending == "half":
            self._head(answer, {"Content-Length": str(len(body))})
            self.wfile.write(body[: len(body) // 2])
        elif answer.ending == "raw":
            self.wfile.write(body)
        elif answer.ending in ("endless", "drip"):
            self._head(answer, {})
            while not self.server.upstream.stopping.wait(0.01 if answer.ending == "drip" else 0):
                self.wfile.write(body)

    def _head(self, answer: Answer, more: Mapping[str, str]) -> None:
        self.send_response_only(answer.status)
        for name, value in {"Content-Type": "application/json", **more, **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass
