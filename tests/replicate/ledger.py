"""The ledger: what was taken, how each job went, and what it cost. A test compares the portal with it."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.provider import PICTURE
from tests.provider.pairs import PairsError, download, inputs_per_pair
from tests.provider.results import WEIGHTS
from tests.replicate.models import MODELS, Model, version_of
from tests.replicate.switches import Failure, Switches

STARTING, PROCESSING, SUCCEEDED = "starting", "processing", "succeeded"
CANCELLED = Failure("", "canceled")
DAY = 24 * 3600


@dataclass
class Upload:
    """A file that a client sent. `expires_at` is in unix seconds."""

    id: str
    name: str
    content: bytes
    content_type: str
    expires_at: float = field(default_factory=lambda: time.time() + DAY)


@dataclass(eq=False)
class Job:
    """A training or prediction. A test may change whatever it likes, such as `output` or `logs`.

    `steps`: the states that status calls still pass, one each. `output` is made at its end unless a test did.
    `cost` is in USD, None until it was charged. `hidden`: the list calls that do not show it yet; below 0
    none ever does.
    """

    id: str
    model: str
    input: Mapping[str, Any]
    destination: str
    webhook: str
    webhook_events: tuple[str, ...]
    address: Callable[[str], str] = field(repr=False)  # of a path, as the submit saw this host
    steps: list[str] = field(default_factory=list)
    failure: Failure | None = None
    status: str = STARTING
    logs: str = ""
    output: Any = None
    error: str = ""
    cost: Decimal | None = None
    is_removed: bool = False
    hidden: int = 0
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    started_at: datetime | None = None
    ended_at: datetime | None = None
    lock: Any = field(default_factory=threading.RLock, repr=False)

    @property
    def is_training(self) -> bool:
        return MODELS[self.model].is_training

    @property
    def dataset(self) -> str:
        """The address that the trainer reads; empty for a model that is none."""
        return str(self.input.get(MODELS[self.model].dataset, ""))

    @property
    def has_ended(self) -> bool:
        return self.status not in (STARTING, PROCESSING)

    def says(self, *needles: str) -> bool:
        """Whether one of these stands in its input, destination or webhook."""
        text = json.dumps([self.input, self.destination, self.webhook])
        return any(needle in text for needle in needles)


class Ledger(Switches):
    """Jobs and files of one account. `advance` is what time does; the other methods are what a test does."""

    lock: Any  # of the fake

    def clear(self) -> None:
        """An account without jobs, models and files, at a Replicate that behaves."""
        Switches.__init__(self)
        self.jobs: list[Job] = []
        self.uploads: dict[str, Upload] = {}
        self.delivered: dict[str, bytes] = {}  # files of results, by their path
        self.destinations: dict[str, dict[str, Any]] = {}  # the account's models, as they were created

    def job(self, job_id: str) -> Job | None:
        return next((job for job in self.jobs if job.id == job_id), None)

    def jobs_by_nonce(self, nonce: str) -> list[Job]:
        """The jobs in whose dataset address, destination or webhook this text stands: one submit, one job."""
        return [job for job in self.jobs if job.says(nonce)]

    @property
    def charged(self) -> Decimal:
        """What all jobs cost, in USD."""
        return sum((job.cost or Decimal(0) for job in self.jobs), Decimal(0))

    def add(
        self, model: str, body: Mapping[str, Any], address: Callable[[str], str] = lambda path: path
    ) -> Job:
        """A job as a submit makes it, or as if made elsewhere with the same key."""
        first, *steps = self.steps
        job = Job(
            secrets.token_hex(13),
            model,
            body.get("input") or {},
            body.get("destination", ""),
            body.get("webhook", ""),
            tuple(body.get("webhook_events_filter") or ()),
            address,
            steps=steps,
            failure=self.failure,
            hidden=-1 if self.history_hole else self.history_late,
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
        """Enter a state: the dataset is read when the job runs, and it is charged when it has ended."""
        with job.lock:
            if status in (PROCESSING, SUCCEEDED) and job.started_at is None:
                self._start(job)
            if status in (STARTING, PROCESSING):
                job.status = status
            elif job.ended_at is None:
                self._end(job, status)

    def finish(self, job: Job) -> None:
        """The job ends now: well, or as its dataset or `failure` has it."""
        self.move(job, SUCCEEDED)

    def fail(self, job: Job, failure: Failure | None = None) -> None:
        """The job ends badly now."""
        job.failure = failure or job.failure or Failure()
        self.finish(job)

    def cancel(self, job: Job) -> None:
        with job.lock:
            if not self.ignores_cancel:
                self._end(job, CANCELLED.status)

    def remove(self, job: Job) -> None:
        """Delete its data, as Replicate does an hour after the end of a prediction."""
        job.is_removed, job.input, job.output, job.logs = True, {}, None, ""

    def _start(self, job: Job) -> None:
        job.started_at = datetime.now(UTC)
        model = MODELS[job.model]
        job.logs = "\n".join(self.log_lines)
        try:
            if model.is_trainer:
                inputs_per_pair(self.fetch(job.dataset), 1, job.input.get(model.caption))
                return
            self.fetch(job.input["lora_weights"])
            images = job.input[model.images]
            self.fetch(images if isinstance(images, str) else images[0])
        except PairsError as exc:
            job.failure = Failure(str(exc))
            job.steps = [SUCCEEDED]

    def fetch(self, address: str) -> bytes:
        """Read an address: an upload of this account also by its plain one, all others over HTTP."""
        upload_id = address.partition("?")[0].rpartition("/files/")[2]
        if upload_id in self.uploads and not self.refuses_further_names:
            return self.uploads[upload_id].content
        return download(address, 1 << 30)

    def _end(self, job: Job, status: str) -> None:
        job.ended_at, job.steps = datetime.now(UTC), []
        failure = job.failure if status == SUCCEEDED else Failure("", status)
        model = MODELS[job.model]
        if failure:
            job.status, job.error = failure.status, failure.error
        else:
            job.status = SUCCEEDED
            job.output = self._output(job, model) if job.output is None else job.output
        if job.started_at and (failure is None or self.failures_cost):
            job.cost = self._cost(job, model)
        self.ended(job)
        if self.results_expired:
            self.remove(job)

    def _cost(self, job: Job, model: Model) -> Decimal:
        """In full if it succeeded, half of it otherwise: time is charged until the end."""
        price = self.prices.get(job.model, model.price)
        steps = job.input.get(model.steps, 1000) if model.is_trainer else 1
        return price * steps / (1 if job.status == SUCCEEDED else 2)

    def ended(self, job: Job) -> None:
        """Tell whoever waits for it. The server sends webhooks here."""

    def _output(self, job: Job, model: Model) -> Any:
        if not model.is_trainer:
            return self._file(job, "output.png", PICTURE)
        weights = self._file(job, "trained.safetensors", WEIGHTS)
        if not model.is_training:
            return weights
        pictures = [self._file(job, f"validation-{number}.png", PICTURE) for number in range(2)]
        version = f"{job.destination}:{version_of(job.id)}"
        return {"version": version, "weights": weights, "validation_images": pictures}

    def _file(self, job: Job, name: str, content: bytes) -> str:
        path = f"/delivery/{secrets.token_hex(8)}/{name}"
        self.delivered[path] = content
        return job.address(path)
