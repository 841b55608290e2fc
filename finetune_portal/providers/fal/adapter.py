"""The adapter of fal: one account, and nothing of it is kept (docs/provider-fal.md)."""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import IO

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
    Reconciled,
    ResultFile,
    Snapshot,
    StoredDataset,
    Trainer,
    WebhookEvent,
)
from finetune_portal.providers.errors import GoneError, RequestRejectedError
from finetune_portal.providers.fal import history, webhooks
from finetune_portal.providers.fal.catalogue import Catalogue
from finetune_portal.providers.fal.client import Client
from finetune_portal.providers.fal.handles import built_handle, handle_of
from finetune_portal.providers.fal.inference import Inference
from finetune_portal.providers.fal.jobs import Jobs
from finetune_portal.providers.fal.prices import Prices
from finetune_portal.providers.fal.storage import Storage, lifecycle
from finetune_portal.providers.fal.trainers import TABLE, known
from finetune_portal.providers.http.files import Files
from finetune_portal.providers.http.json_body import missing
from finetune_portal.providers.http.refusals import About
from finetune_portal.providers.http.session import Dial
from finetune_portal.providers.http.values import text

SUBMIT_SECONDS = 90.0
KEEP_DATASET, KEEP_OUTPUT = timedelta(days=14), timedelta(days=28)
NONCE = re.compile(r"[A-Za-z0-9._-]{1,100}")
WITH_KEY = frozenset(
    {
        Capability.LOGS,
        Capability.CANCEL,
        Capability.ESTIMATE,
        Capability.WEBHOOKS,
        Capability.GENERATE,
    }
)
WITH_ADMIN_KEY = frozenset({Capability.BALANCE, Capability.COST})


class FalAdapter(Adapter):
    """One account at fal, by the contract. `dial` and `max_seconds` are those of the client."""

    def __init__(self, account: Account, *, dial: Dial | None = None, max_seconds: float = math.inf) -> None:
        self._client = Client(account, dial, max_seconds)
        self._jobs = Jobs(self._client)
        self._prices = Prices(self._client)
        self._inference = Inference(self._client)
        self._files = Files(self._client.cdn, dial, max_seconds)
        self._has_admin_key = bool(account.admin_key)

    @property
    def capabilities(self) -> frozenset[Capability]:
        return WITH_KEY | WITH_ADMIN_KEY if self._has_admin_key else WITH_KEY

    @property
    def files(self) -> Files:
        return self._files

    def trainers(self) -> list[Trainer]:
        return Catalogue(self._client).trainers()

    def check_key(self) -> None:
        """Ask for a job that is not there: fal answers 404 to a good key, 401 to every other one."""
        try:
            self._jobs.status(built_handle(self._client.queue, next(iter(TABLE)), str(uuid.uuid4())))
        except GoneError:
            return

    def estimate(self, trainer: str, steps: int, inputs: int) -> Money | None:
        return self._prices.estimate(trainer, steps, inputs)

    def put_dataset(
        self, name: str, file: IO[bytes], size: int, on_progress: Callable[[int], None] | None = None
    ) -> StoredDataset:
        storage = Storage(self._client)
        return storage.put(name, "application/zip", file, size, KEEP_DATASET, on_progress)

    def dataset_address(self, stored: StoredDataset, nonce: str) -> str:
        return Storage(self._client).sign(stored.address, nonce)

    def submit(self, request: JobRequest) -> Accepted:
        """POST once. What fal would only find wrong when the job runs, is refused before."""
        trainer = known(request.trainer)
        body = trainer.body(request, Catalogue(self._client).dataset_field(trainer))
        if not NONCE.fullmatch(request.nonce):
            raise RequestRejectedError("The nonce of a job may have letters, digits, dots and dashes.")
        answer = self._client.call(
            "POST",
            f"{self._client.queue}/{request.trainer}",
            params={"fal_webhook": request.webhook} if request.webhook else {},
            json=body,
            headers={
                "X-Fal-Tags": f"portal-job={request.nonce}",
                "X-Fal-Object-Lifecycle-Preference": lifecycle(KEEP_OUTPUT),
            },
            seconds=SUBMIT_SECONDS,
            about=About.NEW_JOB,
        )
        payload = answer.json()
        header = answer.headers.get("x-fal-request-id", "")
        handle = handle_of(self._client.queue, request.trainer, payload, header)
        if handle is None:
            raise missing("an id")
        return Accepted(handle, text(payload.get("status")) or "IN_QUEUE")

    def reconcile(self, request: JobRequest, since: datetime) -> Reconciled:
        field = Catalogue(self._client).dataset_field(known(request.trainer))
        return history.reconcile(self._client, request, field, since)

    def poll(self, handle: Handle) -> Snapshot:
        return self._jobs.poll(handle)

    def jobs(self) -> list[Snapshot]:
        """Never called: fal has no list of all jobs."""
        raise NotImplementedError

    def file_link(self, file: ResultFile) -> str:
        """The address itself: who has it may read the file, until fal deletes it."""
        self._files.check_secure(file.address)
        return file.address

    def logs(self, handle: Handle) -> list[LogLine]:
        return self._jobs.logs(handle)

    def cancel(self, handle: Handle) -> Cancelled:
        return self._jobs.cancel(handle)

    def cost(self, handle: Handle) -> Money | None:
        return self._prices.cost(handle) if self._has_admin_key else None

    def balance(self) -> Money | None:
        return self._prices.balance() if self._has_admin_key else None

    def set_public(self, handle: Handle, *, public: bool) -> None:
        """Never called: who has the address of a file at fal may read it, and nobody else finds it."""
        raise NotImplementedError

    def handle(self, trainer: str, id: str) -> Handle:
        return built_handle(self._client.queue, trainer, id)

    def verify_webhook(self, headers: Mapping[str, str], body: bytes, received_at: datetime) -> WebhookEvent:
        return webhooks.verify(self._client, headers, body, received_at)

    def put_image(self, image: bytes) -> str:
        return self._inference.put_image(image)

    def generate(self, request: GenerateRequest, on_accepted: OnAccepted | None = None) -> bytes:
        return self._inference.generate(request, on_accepted)
