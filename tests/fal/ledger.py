"""The ledger: what was taken, how each job went, and what it cost. A test compares the portal with it."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from tests.fal.dataset import DatasetError, cannot_download, download, inputs_per_pair
from tests.fal.files import Files
from tests.fal.request import HOSTS, FalRequest
from tests.fal.switches import Failure, Switches
from tests.fal.trainers import ENDPOINTS, Endpoint, billed_units, input_errors
from tests.provider import PICTURE
from tests.provider.results import WEIGHTS

WAITING, RUNNING, COMPLETED = "IN_QUEUE", "IN_PROGRESS", "COMPLETED"
CANCELLED = Failure(499, "The request was cancelled by the client.", "client_cancelled")


@dataclass(eq=False)
class Job:
    """A request that the queue took. A test may change whatever it likes, such as `queue_position`.

    `steps`: the states that status calls still pass, one each. `result`: the model's output or error body,
    None until it has ended, with `result_status`. `error`, `error_type`: what a COMPLETED status adds.
    `units`, `unit_price`, `cost`: what was charged, in USD; None until it was.
    `hidden`: the history calls that do not show it yet; below 0 none ever does.
    """

    id: str
    endpoint: str
    input: Mapping[str, Any]
    headers: Mapping[str, str]
    webhook: str
    tags: Mapping[str, str]
    address: Callable[[str, str], str] = field(repr=False)  # of a service and a path, as the submit saw them
    steps: list[str] = field(default_factory=list)
    failure: Failure | None = None
    status: str = WAITING
    queue_position: int = 0
    logs: list[dict[str, str]] = field(default_factory=list)
    result: Any = None
    result_status: int = 200
    error: str = ""
    error_type: str = ""
    inputs: int = 1
    units: Decimal | None = None
    unit_price: Decimal | None = None
    cost: Decimal | None = None
    is_expired: bool = False
    hidden: int = 0
    sent_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_at: datetime | None = None
    ended_at: datetime | None = None
    lock: Any = field(default_factory=threading.RLock, repr=False)

    @property
    def dataset(self) -> str:
        """The address that the trainer reads, or the first input image."""
        for name in ENDPOINTS[self.endpoint].address_fields:
            if value := self.input.get(name):
                return str(value if isinstance(value, str) else value[0])
        return ""

    @property
    def has_ended(self) -> bool:
        return self.status == COMPLETED

    def says(self, *needles: str) -> bool:
        """Whether one of these stands in its input, tags or webhook."""
        text = json.dumps([self.input, self.tags, self.webhook])
        return any(needle in text for needle in needles)


class Ledger(Switches):
    """Jobs and files of one account. `advance` is what time does; the other methods are what a test does."""

    lock: Any  # a lock of the fake's

    def __init__(self) -> None:
        self.files = Files()
        self.clear()

    def clear(self) -> None:
        """An account without jobs and files, at a fal that behaves. Tokens that clients hold stay good."""
        Switches.__init__(self)
        self.jobs: list[Job] = []
        self.files.stored.clear()

    def job(self, job_id: str) -> Job | None:
        return next((job for job in self.jobs if job.id == job_id), None)

    def knows(self, request: FalRequest, job: Job) -> bool:
        """Whether the job is of the account that asks; of everybody's where there is one account."""
        names = (each.headers.get("authorization", "") for each in (request, job))
        return not self.other_keys or len(set(names)) == 1

    def jobs_by_nonce(self, nonce: str) -> list[Job]:
        """The jobs in whose dataset address, tags or webhook this text stands: one submit, one job."""
        return [job for job in self.jobs if job.says(nonce)]

    @property
    def charged(self) -> Decimal:
        """What all jobs cost, in USD."""
        return sum((job.cost or Decimal(0) for job in self.jobs), Decimal(0))

    def price(self, endpoint: str) -> Decimal:
        return self.prices.get(endpoint, ENDPOINTS[endpoint].price)

    def add(self, endpoint: str, payload: Mapping[str, Any], request: FalRequest, **more: Any) -> Job:
        """A job as a submit makes it, or as if made elsewhere with the same key."""
        first, *steps = self.steps
        job = Job(
            str(uuid.uuid4()),
            endpoint,
            payload,
            request.headers,
            request.param("fal_webhook"),
            tags_of(request.headers.get("x-fal-tags", "")),
            request.address,
            steps=steps,
            failure=self.failure,
            hidden=-1 if self.history_hole else self.history_late,
            **more,
        )
        with self.lock:
            self.jobs.append(job)
        self.move(job, first)
        return job

    def advance(self, job: Job) -> None:
        """Go on by one state; the last one stays."""
        with job.lock:
            if job.steps and not job.has_ended:
                self.move(job, job.steps.pop(0))

    def move(self, job: Job, status: str) -> None:
        """Enter a state: the dataset is read when the job runs, the bill is written when it has ended."""
        with job.lock:
            if status == WAITING:
                others = next((at for at, step in enumerate(job.steps) if step != WAITING), len(job.steps))
                job.queue_position = others
            elif job.started_at is None:
                self._start(job)
            job.status = status
            if status == COMPLETED:
                self._end(job)

    def finish(self, job: Job) -> None:
        """The job ends now: well, or as its dataset or `failure` has it."""
        self.move(job, COMPLETED)

    def fail(self, job: Job, failure: Failure | None = None) -> None:
        """The job ends badly now."""
        job.failure = failure or job.failure or Failure()
        self.finish(job)

    def cancel(self, job: Job) -> None:
        """Take it from the queue, or ask a running one to stop: it does so at the next look."""
        with job.lock:
            if job.status == WAITING:
                job.started_at = job.sent_at  # it never runs
                self.fail(job, CANCELLED)
            elif not self.ignores_cancel:
                job.failure, job.steps = CANCELLED, [COMPLETED]

    def _start(self, job: Job) -> None:
        job.started_at = datetime.now(UTC)
        endpoint = ENDPOINTS[job.endpoint]
        errors = input_errors(endpoint, job.input)
        try:
            if errors:
                job.failure = Failure(422, errors, "")
            elif endpoint.is_trainer:
                name = next(name for name in endpoint.address_fields if job.input.get(name))
                data = self.fetch(job.dataset, name)
                job.inputs = inputs_per_pair(
                    data, endpoint.most_inputs, job.input.get("default_caption"), name
                )
            else:
                for lora in job.input.get("loras") or ():
                    self.fetch(lora["path"], "loras")
                self.fetch(job.dataset, endpoint.address_fields[0])
        except DatasetError as exc:
            job.failure = exc.failure
        now = datetime.now(UTC).isoformat()
        job.logs = [
            {"message": text, "level": "STDERR", "source": "USER", "timestamp": now}
            for text in self.log_lines
        ]
        if job.failure and job.failure.status == 422:
            job.steps = [COMPLETED]

    def fetch(self, address: str, name: str) -> bytes:
        """Read an address of our own by its public name, or any other over HTTP."""
        parts = urlsplit(address)
        if parts.hostname not in HOSTS:
            return download(self.direct(address), self.most_bytes, name)
        status, file = self.files.look(parts.path, parts.query)
        if file is None:
            raise cannot_download(name, str(status))
        return file.content

    def direct(self, address: str) -> str:
        """The same address without a proxy before it. The server says where it is."""
        return address

    def _end(self, job: Job) -> None:
        if job.ended_at is not None:
            return
        job.ended_at, job.steps = datetime.now(UTC), []
        if job.failure:
            self._end_badly(job, job.failure)
        elif job.result is None:
            job.result = self._output(job, ENDPOINTS[job.endpoint])
        if (job.failure is None or self.failures_cost) and job.failure is not CANCELLED:
            job.units = billed_units(ENDPOINTS[job.endpoint], job.input, job.inputs)
            job.unit_price = self.price(job.endpoint)
            job.cost = job.units * job.unit_price
        self.ended(job)

    def _end_badly(self, job: Job, failure: Failure) -> None:
        job.result_status = failure.status
        job.result = {"detail": failure.detail}
        if failure.error_type:
            job.result["error_type"] = failure.error_type
        if self.status_has_error:
            is_text = isinstance(failure.detail, str)
            job.error = failure.detail if is_text else f"Invalid status code: {failure.status}"
            job.error_type = failure.error_type

    def ended(self, job: Job) -> None:
        """Tell whoever waits for it. The server sends webhooks here."""

    def _output(self, job: Job, endpoint: Endpoint) -> dict[str, Any]:
        if endpoint.is_trainer:
            config = json.dumps({"steps": job.input.get("steps", 1000)}).encode()
            return {
                self.weights_field or endpoint.weights_field: self._file(
                    job, "pytorch_lora_weights.safetensors", WEIGHTS
                ),
                "config_file": self._file(job, "config.json", config),
            }
        image = self._file(job, "output.png", PICTURE) | {"width": 48, "height": 32}
        count = int(job.input.get("num_images") or 1)
        return {
            "images": [image] * count,
            "seed": 42,
            "prompt": job.input.get("prompt"),
            "has_nsfw_concepts": [False] * count,
            "timings": {"inference": 0.5},
        }

    def _file(self, job: Job, name: str, content: bytes) -> dict[str, Any]:
        preference = job.headers.get("x-fal-object-lifecycle-preference", "")
        path = self.files.put(name, content, "application/octet-stream", preference, fault=self.file_fault)
        url = job.address("cdn", path)
        if self.files_are_bare:
            return {"url": url, "content_type": None, "file_name": None, "file_size": None}
        size = len(content) * (2 if self.file_fault == "size" else 1)
        return {"url": url, "content_type": "application/octet-stream", "file_name": name, "file_size": size}


def tags_of(header: str) -> dict[str, str]:
    """The pairs of X-Fal-Tags; bad ones are dropped in silence."""
    pairs = (part.strip().partition("=") for part in header.split(","))
    return {
        name: value
        for name, sign, value in pairs
        if sign
        and 0 < len(name) <= 64
        and len(value) <= 256
        and not name.startswith("fal.")
        and all(
            letter.isascii() and (letter.islower() or letter.isdigit() or letter in "._-") for letter in name
        )
    }
