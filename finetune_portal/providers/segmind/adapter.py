"""The adapter of Segmind (docs/provider-api.md), and of engines, which know more under /extra."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import IO
from urllib.parse import urlsplit

from finetune_portal.providers.contract import (
    Accepted,
    Account,
    Adapter,
    Availability,
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
from finetune_portal.providers.errors import CallError, RequestRejectedError
from finetune_portal.providers.http.files import Files, plain_name
from finetune_portal.providers.http.reasons import without_secrets
from finetune_portal.providers.http.session import Dial
from finetune_portal.providers.parameter import ParameterError
from finetune_portal.providers.segmind import parameters
from finetune_portal.providers.segmind.client import ADDRESSES, SegmindClient
from finetune_portal.providers.segmind.extension import Capabilities
from finetune_portal.providers.segmind.inference import RunRequest
from finetune_portal.providers.segmind.snapshots import reconciled, snapshot_of
from finetune_portal.providers.segmind.trainer import KONTEXT, TITLES, of_engine
from finetune_portal.providers.segmind.types import SubmitRequest

VENDOR = "segmind.com"
VENDORS_NAME = "FLUX"  # of the base model of KONTEXT
MAX_NAME = 80  # characters, beside the nonce
NONCE = re.compile(r"[A-Za-z0-9._-]{1,64}")
EXTENSION_SECONDS = 60.0  # that an answer of /extra is good for: an engine may restart with another trainer
EVERYWHERE = frozenset({Capability.LIST, Capability.BALANCE, Capability.VISIBILITY})
OF_AN_ENGINE = {
    "progress": Capability.LOGS,
    "cancel": Capability.CANCEL,
    "run": Capability.GENERATE,
}
UNKNOWN_TRAINER = "This version of the portal does not know this trainer, so nothing was sent."
BAD_NONCE = "The nonce of a job may have letters, digits, dots and dashes."
ONE_IMAGE = "This model takes one input image."
NO_MODEL = "The provider gave this model no address, so it cannot be run."


class SegmindAdapter(Adapter):
    """One account at Segmind or at an engine, by the contract. `dial`, `max_seconds`: see the client.

    `known` is what the provider can do beyond Segmind's API. Without it the adapter asks, and keeps the
    answer for a minute; Segmind's own host has nothing of it and is not asked. With it nobody is asked, and
    `submit` takes a job's parameters as checked when the job was made: what an engine no longer takes, it
    refuses itself. `client` has what the contract lacks: the progress and samples of an engine, all that its
    list and details say, and the headers of the last answer. Do not share an adapter between threads.
    """

    def __init__(
        self,
        account: Account,
        *,
        known: Capabilities | None = None,
        client: SegmindClient | None = None,
        dial: Dial | None = None,
        max_seconds: float = math.inf,
    ) -> None:
        address = account.addresses.get("api") or ADDRESSES["api"]
        self.client = client or SegmindClient(address, account.key, max_seconds=max_seconds, dial=dial)
        self._key = account.key
        self._takes_as_checked = known is not None
        self._known = Capabilities() if known is None and _is_vendor(address) else known
        self._asked: tuple[float, Capabilities] | None = None  # when, by the monotonic clock

    @property
    def capabilities(self) -> frozenset[Capability]:
        """Those of the API, and those that an engine names. May ask it, and then raise a CallError.

        Webhooks lack: one is registered for the whole account and not by a job, and Segmind signs none. An
        engine signs with a secret that webhooks/signature.py verifies, which no account has.
        """
        extension = self._extension()
        if not extension.can:
            return EVERYWHERE | {Capability.GENERATE}
        return EVERYWHERE | {each for name, each in OF_AN_ENGINE.items() if name in extension.can}

    @property
    def files(self) -> Files:
        return self.client.files

    def trainers(self) -> list[Trainer]:
        """That of Kontext, unless an engine names others. That Segmind is closed only others say."""
        named = list(of_engine(self._extension().trainers))
        is_kontext_named = any(each.id == KONTEXT.id for each in named)
        others = [each for each in named if each.id != KONTEXT.id]
        return [self._trainer(), *others] if is_kontext_named or not named else others

    def check_key(self) -> None:
        self.client.credits()

    def estimate(self, trainer: str, steps: int, inputs: int) -> Money | None:
        """None: no page names a price (docs/provider-api.md, 11.2)."""
        return None

    def put_dataset(
        self, name: str, file: IO[bytes], size: int, on_progress: Callable[[int], None] | None = None
    ) -> StoredDataset:
        target = self.client.presigned_url(plain_name(name))
        stored = self.client.upload(target.presigned_url, file, size, on_progress)
        return StoredDataset(target.s3_url, stored.md5)

    def dataset_address(self, stored: StoredDataset, nonce: str) -> str:
        """The address as it was returned, the same for each attempt.

        Only that one is known to work (docs/provider-api.md, 4); the job is found by the nonce in its name.
        """
        return stored.address

    def submit(self, request: JobRequest) -> Accepted:
        """POST once, with the nonce at the end of the name. The webhook has no place in a job of this API."""
        values = self._values(request)
        machine_type = str(values.pop(parameters.MACHINE_TYPE.name, parameters.MACHINE_TYPE.default))
        submitted = self.client.submit(
            SubmitRequest(
                name=_name_of(request),
                data_source_path=request.dataset,
                instance_prompt=request.prompt,
                learning_rate=float(values.pop(parameters.LEARNING_RATE.name)),
                steps=int(values.pop(parameters.STEPS.name)),
                public=request.is_public,
                machine_type=machine_type.upper(),
                base_model=VENDORS_NAME if request.trainer in ("", KONTEXT.id) else request.trainer,
                extra=values,
            )
        )
        return Accepted(Handle(submitted.request_id), submitted.status)

    def reconcile(self, request: JobRequest, since: datetime) -> Reconciled:
        """Match by the nonce alone: the list has no times. It is complete, though a new job may come late."""
        _check_nonce(request)
        return reconciled(self.client.list(), request.nonce)

    def poll(self, handle: Handle) -> Snapshot:
        return snapshot_of(self.client.details(handle.id), self._key, handle)

    def jobs(self) -> list[Snapshot]:
        """All jobs by the list, which has neither weights nor the name of the model: `poll` has them."""
        return [snapshot_of(each, self._key) for each in self.client.list()]

    def file_link(self, file: ResultFile) -> str:
        """A signed link, valid for an hour (docs/provider-api.md, 6)."""
        return self.client.download_url(file.address)

    def logs(self, handle: Handle) -> list[LogLine]:
        """The last lines of an engine's log."""
        lines = self.client.extension.progress(handle.id).log
        return [LogLine(without_secrets(line, self._key)) for line in lines]

    def cancel(self, handle: Handle) -> Cancelled:
        """Ask an engine to cancel. A job that it does not know is too late, too: `poll` tells them apart."""
        is_going = self.client.extension.cancel(handle.id)
        return Cancelled.REQUESTED if is_going else Cancelled.TOO_LATE

    def cost(self, handle: Handle) -> Money | None:
        """None: only a difference of balances shows it (docs/provider-api.md, 11.2)."""
        return None

    def balance(self) -> Money:
        """The paid credits, without the free ones."""
        return Money(Decimal(str(self.client.credits().credits)), "credits", Price.QUOTED)

    def set_public(self, handle: Handle, *, public: bool) -> None:
        self.client.set_public(handle.id, public=public)

    def handle(self, trainer: str, id: str) -> Handle:
        return Handle(id)

    def verify_webhook(self, headers: Mapping[str, str], body: bytes, received_at: datetime) -> WebhookEvent:
        """Never called: see `capabilities`."""
        raise NotImplementedError

    def put_image(self, image: bytes) -> str:
        return self.client.inference.upload_image(image)

    def generate(self, request: GenerateRequest, on_accepted: OnAccepted | None = None) -> bytes:
        """Run a model by its slug, which is `Snapshot.model`."""
        self._check_trainer(request.trainer)
        if len(request.inputs) != 1:
            raise RequestRejectedError(ONE_IMAGE)
        if not request.weights:
            raise RequestRejectedError(NO_MODEL)
        numbers = (request.strength, request.seed, request.steps, request.guidance)
        return self.client.inference.run(
            request.weights, RunRequest(request.prompt, request.inputs[0], *numbers)
        )

    @property
    def run_cost(self) -> float | None:
        return self.client.inference.cost

    def _extension(self) -> Capabilities:
        if self._known is not None:
            return self._known
        now = time.monotonic()
        if self._asked is None or now - self._asked[0] > EXTENSION_SECONDS:
            self._asked = (now, self.client.extension.capabilities())
        return self._asked[1]

    def _trainer(self) -> Trainer:
        extension = self._extension()
        named = [name for name in extension.parameters if name not in parameters.ELSEWHERE]
        more = parameters.described(named) if extension.can else [parameters.MACHINE_TYPE]
        return replace(
            KONTEXT,
            parameters=(*KONTEXT.parameters, *more),
            availability=Availability.OPEN if extension.can else Availability.UNKNOWN,
            model=KONTEXT.model if Capability.GENERATE in self.capabilities else "",
        )

    def _taker(self, request: JobRequest) -> Trainer:
        """The trainer by which a request is read; it has all of its parameters where these were checked."""
        if not self._takes_as_checked:
            return self._trainer()
        named = parameters.described(request.parameters)
        return replace(KONTEXT, parameters=(*KONTEXT.parameters, *named))

    def _check_trainer(self, trainer: str) -> None:
        """An empty name stands for Kontext; an engine may name others."""
        if trainer not in ("", KONTEXT.id, *TITLES):
            raise RequestRejectedError(UNKNOWN_TRAINER)

    def _values(self, request: JobRequest) -> dict[str, int | float | str | bool]:
        """The parameters in their types. Raises an error that never was sent for what is wrong."""
        self._check_trainer(request.trainer)
        _check_nonce(request)
        try:
            return self._taker(request).read(request)
        except ParameterError as exc:
            raise RequestRejectedError(str(exc)) from None
        except CallError as exc:
            exc.may_have_been_sent = False  # of the question for capabilities: the job was not sent
            raise


def _is_vendor(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    return host == VENDOR or host.endswith(f".{VENDOR}")


def _check_nonce(request: JobRequest) -> None:
    if not NONCE.fullmatch(request.nonce):
        raise RequestRejectedError(BAD_NONCE)


def _name_of(request: JobRequest) -> str:
    """The name with the nonce at its end, once."""
    name = request.name.removesuffix(f"-{request.nonce}")
    return f"{name[:MAX_NAME] or 'job'}-{request.nonce}"
