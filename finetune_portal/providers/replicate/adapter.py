"""The adapter of Replicate: one account, and nothing of it is kept (docs/provider-replicate.md)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import IO, Any
from urllib.parse import quote

from finetune_portal.providers.contract import (
    Accepted,
    Account,
    Adapter,
    Cancelled,
    Capability,
    GenerateRequest,
    Handle,
    JobRequest,
    LogLine,
    Money,
    OnAccepted,
    Price,
    Reconciled,
    ResultFile,
    Snapshot,
    StoredDataset,
    Trainer,
    WebhookEvent,
)
from finetune_portal.providers.errors import RequestRejectedError
from finetune_portal.providers.http.files import Files
from finetune_portal.providers.http.json_body import missing
from finetune_portal.providers.http.paid_run import unpaid
from finetune_portal.providers.http.refusals import About
from finetune_portal.providers.http.session import Dial
from finetune_portal.providers.http.values import text
from finetune_portal.providers.replicate import history, webhooks
from finetune_portal.providers.replicate.catalogue import Catalogue
from finetune_portal.providers.replicate.client import Client
from finetune_portal.providers.replicate.inference import Inference
from finetune_portal.providers.replicate.jobs import Jobs
from finetune_portal.providers.replicate.results import handle_of
from finetune_portal.providers.replicate.storage import Storage
from finetune_portal.providers.replicate.trainers import ReplicateTrainer, known

SUBMIT_SECONDS = 90.0
CENT = Decimal("0.01")
NONCE = re.compile(r"[a-z0-9._-]{1,100}")  # it becomes the name of a model
BAD_NONCE = "The nonce of a job may have lower-case letters, digits, dots and dashes."
CAPABILITIES = frozenset(
    {
        Capability.LOGS,
        Capability.CANCEL,
        Capability.ESTIMATE,
        Capability.WEBHOOKS,
        Capability.GENERATE,
    }
)


class ReplicateAdapter(Adapter):
    """One account at Replicate, by the contract. `dial` and `max_seconds` are those of the client."""

    def __init__(self, account: Account, *, dial: Dial | None = None, max_seconds: float = math.inf) -> None:
        self._client = Client(account, dial, max_seconds)
        self._jobs, self._catalogue = Jobs(self._client), Catalogue(self._client)
        self._files = Files(self._client.api, dial, max_seconds)

    @property
    def capabilities(self) -> frozenset[Capability]:
        return CAPABILITIES

    @property
    def files(self) -> Files:
        return self._files

    def trainers(self) -> list[Trainer]:
        return self._catalogue.trainers()

    def check_key(self) -> None:
        self._catalogue.owner()

    def estimate(self, trainer: str, steps: int, inputs: int) -> Money | None:
        """About: what the page of the trainer names for a thousand steps."""
        a_step = known(trainer).a_step
        return Money((a_step * steps).quantize(CENT), "USD", Price.ESTIMATE) if a_step else None

    def put_dataset(
        self, name: str, file: IO[bytes], size: int, on_progress: Callable[[int], None] | None = None
    ) -> StoredDataset:
        return Storage(self._client).put(name, "application/zip", file, size, on_progress)

    def dataset_address(self, stored: StoredDataset, nonce: str) -> str:
        return Storage(self._client).address_for(stored.address, nonce)

    def submit(self, request: JobRequest) -> Accepted:
        """POST once. Before it, what Replicate must be asked or given for a job is: all free of charge."""
        trainer = known(request.trainer)
        body: dict[str, Any] = {"input": trainer.body(request)}
        if not NONCE.fullmatch(request.nonce):
            raise RequestRejectedError(BAD_NONCE)
        if request.webhook:
            body |= {"webhook": request.webhook, "webhook_events_filter": ["completed"]}
        with unpaid():
            url, more = self._call_for(trainer, request.nonce)
        answer = self._client.call("POST", url, json=body | more, seconds=SUBMIT_SECONDS, about=About.NEW_JOB)
        payload = answer.json()
        handle = handle_of(self._client.api, payload, is_training=trainer.is_training)
        if handle is None:
            raise missing("an id")
        return Accepted(handle, text(payload.get("status")) or "starting")

    def _call_for(self, trainer: ReplicateTrainer, nonce: str) -> tuple[str, dict[str, str]]:
        """Where a job is started, and what its body needs beside the input."""
        name = trainer.trainer.id
        version = self._catalogue.version(name)
        if not trainer.is_training:
            return f"{self._client.api}/predictions", {"version": version}
        url = f"{self._client.api}/models/{name}/versions/{quote(version, safe='')}/trainings"
        return url, {"destination": self._catalogue.destination(nonce)}

    def reconcile(self, request: JobRequest, since: datetime) -> Reconciled:
        return history.reconcile(self._client, request, since)

    def poll(self, handle: Handle) -> Snapshot:
        return self._jobs.poll(handle)

    def jobs(self) -> list[Snapshot]:
        """Never called: Replicate has two lists of many pages, and no call for all jobs."""
        raise NotImplementedError

    def file_link(self, file: ResultFile) -> str:
        """The address itself: who has it may read the file, until Replicate deletes it."""
        self._files.check_secure(file.address)
        return file.address

    def logs(self, handle: Handle) -> list[LogLine]:
        return self._jobs.logs(handle)

    def cancel(self, handle: Handle) -> Cancelled:
        return self._jobs.cancel(handle)

    def cost(self, handle: Handle) -> Money | None:
        """Never called: Replicate tells nobody what a job cost."""
        return None

    def balance(self) -> Money | None:
        """Never called: Replicate has no call for it."""
        return None

    def set_public(self, handle: Handle, *, public: bool) -> None:
        """Never called: what a job made is private to the account, and no call changes it."""
        raise NotImplementedError

    def handle(self, trainer: str, id: str) -> Handle:
        handle = handle_of(self._client.api, {"id": id}, is_training=known(trainer).is_training)
        if handle is None:
            raise missing("an id")
        return handle

    def verify_webhook(self, headers: Mapping[str, str], body: bytes, received_at: datetime) -> WebhookEvent:
        return webhooks.verify(self._client, headers, body, received_at)

    def put_image(self, image: bytes) -> str:
        return Inference(self._client).put_image(image)

    def generate(self, request: GenerateRequest, on_accepted: OnAccepted | None = None) -> bytes:
        return Inference(self._client).generate(request)
