"""A scripted fake of the vendor's API, for what the engine never does: faults, oddities, lost answers.

It answers rightly by itself. `script("submit", breaks(taken=True))` replaces its next answers to one call.
Its own ledger, `jobs` and `charged()`, is the truth that a test compares the portal with. Knows no Django.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from tests.provider.exchange import Answer, Request, breaks, endless, half, raw, says
from tests.provider.hosted import Hosted

__all__ = [
    "CALLS",
    "KEY",
    "PICTURE",
    "Answer",
    "Job",
    "Request",
    "ScriptedProvider",
    "breaks",
    "call_of",
    "endless",
    "half",
    "raw",
    "says",
]

KEY = "a-key-for-the-scripted-provider"
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
    ("POST", "/extra/delete"): "delete",
}
CALLED = {*CALLS.values(), "upload", "fetch", "run", "picture"}
PRICE, BALANCE = 2.5, 1000.0
WEIGHTS = b"the weights of a fake training"
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAADAAAAAgCAIAAADbtmxLAAAAPUlEQVR42u3QUREAEBBAwWPkkEQEIcXyIYwaN+xLsP"
    "PKWSMyVSNZQEBAQEBAQK+D2tzdISAgICAgIKCfQRfyzgM8mwpqkQAAAABJRU5ErkJggg=="
)


@dataclass
class Job:
    """A training in the ledger. It was paid, so one that no answer told of counts as well."""

    id: str
    name: str
    fields: Mapping[str, Any]
    status: str
    ahead: list[str]
    hidden: int  # list calls that it is not shown to
    public: bool = False
    error_message: str | None = None

    @property
    def cloud_storage_url(self) -> str | None:
        there = self.status in TRAINED
        return f"https://segmind-sd-models.s3.amazonaws.com/{self.id}/weights.safetensors" if there else None


class ScriptedProvider(Hosted):
    """One fake on one port. It can be stopped and started again: the ledger and the port stay.

    `states`: what a new job passes, one at each list call; a shorter one skips states.
    `late`: the list calls that do not show a new job yet. `newest_first`: the order of the list.
    `submit_id`, `item_ids`: the names of the id in the answer to a submit, and in list and details.
    `can`: its abilities beyond the vendor's API, which has none; `tells`: what it tells of each training.
    """

    def __init__(self, key: str = KEY) -> None:
        super().__init__()
        self.key = key
        self.states: tuple[str, ...] = RUNNING + TRAINED
        self.late = 0
        self.newest_first = False
        self.submit_id = "finetune_id"
        self.item_ids: tuple[str, ...] = ("id", "finetune_id")
        self.can: tuple[str, ...] = ()
        self.progress: dict[str, Any] = {}
        self.jobs: list[Job] = []
        self.requests: list[Request] = []
        self.stored: dict[str, bytes] = {}
        self.weights: dict[str, bytes] = {}  # of jobs by their id, in place of WEIGHTS
        self.runs: list[Request] = []  # each was paid
        self._answers: defaultdict[str, deque[Answer]] = defaultdict(deque)
        self._lock = threading.RLock()

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

    def adds(self, name: str, **fields: Any) -> Job:
        """A job as if made elsewhere with the same key, or by a submit."""
        with self._lock:
            first, *ahead = self.states
            job = Job(str(uuid.uuid4()), name, fields, first, ahead, self.late)
            job.public = bool(fields.get("segmind_public"))
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
            status, payload = getattr(self, f"_{call}")(request)
            if status != 200 and answer.body is None:
                return says(status, payload), b""
            if call == "run" and answer.body is None:
                answer = replace(answer, headers={"Content-Type": "image/png", **answer.headers})
            if call == "fetch" and answer.ending in ("whole", "half", "slow") and answer.body is None:
                return part_of(request, payload, answer)
            if call == "upload":
                etag = hashlib.md5(request.body).hexdigest()
                answer = replace(answer, headers={"ETag": f'"{etag}"', **answer.headers})
            return answer, payload if isinstance(payload, bytes) else json.dumps(payload).encode()

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
            "advance_parameters": job.fields.get("advance_parameters"),
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
        payload = self._common(job) | {
            "instance_prompt": job.fields.get("instance_prompt"),
            "slug": f"{job.id}-{job.name.lower()}",
            "public_model": job.public,
            "cloud_storage_url": job.cloud_storage_url,
            "created_ts": "2025-01-01T00:00:00Z",
            "updated_ts": "2025-01-01T00:00:00Z",
        }
        return 200, {"finetune": payload}

    def _common(self, job: Job) -> dict[str, Any]:
        return dict.fromkeys(self.item_ids, job.id) | {
            "name": job.name,
            "data_source_path": job.fields.get("data_source_path"),
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
        return (200, self.progress) if self.can else (404, {"error": "Not found"})

    def _sample(self, request: Request) -> tuple[int, Any]:
        return (200, PICTURE) if self.can else (404, {"error": "Not found"})

    def _cancel(self, request: Request) -> tuple[int, Any]:
        job = self.job(str(request.json.get("request_id")))
        if job is None or job.status not in RUNNING:
            return 409, {"error": "The training is over."}
        job.status, job.error_message, job.ahead = "FAILED", "Cancelled.", []
        return 200, {"cancelled": True}

    def _delete(self, request: Request) -> tuple[int, Any]:
        self.jobs = [job for job in self.jobs if job.id != request.json.get("request_id")]
        return 200, {"deleted": True}

    def _upload(self, request: Request) -> tuple[int, Any]:
        self.stored[request.path] = request.body
        return 200, b""

    def _fetch(self, request: Request) -> tuple[int, Any]:
        return 200, self.weights.get(request.path.split("/")[2], WEIGHTS)


def part_of(request: Request, content: bytes, answer: Answer) -> tuple[Answer, bytes]:
    """The range of a file that was asked for, as S3 answers it, or all of it."""
    etag = f'"{hashlib.md5(content).hexdigest()}"'
    wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("range", ""))
    if not wanted or request.headers.get("if-range", etag) != etag:
        return replace(answer, headers={"ETag": etag, **answer.headers}), content
    start, end = int(wanted[1]), min(int(wanted[2] or len(content)) + 1, len(content))
    if start >= end:
        return says(416), b""
    headers = {"ETag": etag, "Content-Range": f"bytes {start}-{end - 1}/{len(content)}"}
    return replace(answer, status=206, headers={**headers, **answer.headers}), content[start:end]


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
