"""What every adapter of a provider does, and in which types. No Django.

An adapter is made for one account and keeps nothing of it. Its methods raise a CallError; each sends what it
must and nothing again by itself. Only `submit` and `generate` cost money: exactly one request leaves, and
`CallError.may_have_been_sent` says whether the provider can have accepted it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import IO, Any, Protocol

from finetune_portal.providers.http.files import Files
from finetune_portal.providers.parameter import Parameter, ParameterError


class Availability(StrEnum):
    """Whether a provider takes new jobs."""

    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Report:
    """What a third party says of a provider, on which day. The portal cannot verify it."""

    availability: Availability
    said_on: date
    text: str
    source: str


@dataclass(frozen=True)
class Account:
    """An account at a provider. `addresses` are the hosts to call, by the names that the adapter gives them.

    The admin key is optional, kept apart, and only asked for what was paid.
    """

    addresses: Mapping[str, str]
    key: str = field(repr=False)
    admin_key: str = field(default="", repr=False)


@dataclass(frozen=True)
class Trainer:
    """What a provider trains. `most_inputs` is the number of input images that a pair may have.

    Its parameters begin with `steps` and `learning_rate`. A trainer that this version does not know has none,
    and no job is sent to it: a wrong form costs money. `model` runs what it trains; empty where nothing does.
    `generates`: what that model takes of strength, steps and guidance, with bounds.
    """

    id: str
    title: str
    base_model: str
    licence: str
    parameters: tuple[Parameter, ...]
    availability: Availability = Availability.UNKNOWN
    most_inputs: int = 1
    model: str = ""
    generates: tuple[Parameter, ...] = ()
    is_known: bool = True

    def read(self, request: JobRequest) -> dict[str, int | float | str | bool]:
        """Return steps, learning rate and parameters of a request in their types. Raises ParameterError."""
        by_name = {parameter.name: parameter for parameter in self.parameters}
        values = {"steps": request.steps, "learning_rate": request.learning_rate, **request.parameters}
        if unknown := values.keys() - by_name.keys():
            raise ParameterError(f"{min(unknown)} is no parameter of this trainer.")
        return {name: by_name[name].read(value) for name, value in values.items()}


class Capability(StrEnum):
    """What an adapter can do beyond submitting and following jobs."""

    LIST = "list"  # of the account's jobs
    LOGS = "logs"
    CANCEL = "cancel"
    BALANCE = "balance"
    COST = "cost"  # the true one, after the job
    ESTIMATE = "estimate"
    VISIBILITY = "visibility"
    WEBHOOKS = "webhooks"  # that can be verified
    GENERATE = "generate"


class Price(StrEnum):
    """How sure an amount is."""

    ESTIMATE = "estimate"
    QUOTED = "quoted"
    BILLED = "billed"


@dataclass(frozen=True)
class Money:
    """An amount in a currency, such as USD, or in credits."""

    amount: Decimal
    currency: str
    price: Price


@dataclass(frozen=True)
class StoredDataset:
    """A ZIP at the provider. `md5` is empty where the storage tells none, `expires_at` None if unknown."""

    address: str
    md5: str = ""
    expires_at: datetime | None = None


@dataclass(frozen=True)
class JobRequest:
    """A training. `parameters` are those beside steps and learning rate; `dataset` is unique to this attempt.

    An empty `trainer` stands for the only one of a provider. The nonce stands in whatever the provider lets
    one look for: the name, a tag, the address of the webhook.
    """

    trainer: str
    name: str
    nonce: str
    dataset: str
    prompt: str
    learning_rate: float
    steps: int
    parameters: Mapping[str, Any] = field(default_factory=dict)
    is_public: bool = False
    webhook: str = ""


@dataclass(frozen=True)
class Handle:
    """How to ask for a job again: the provider's id, and addresses that it gave. The portal stores both."""

    id: str
    addresses: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Accepted:
    """The answer to a job that was taken. `status` is the provider's word."""

    handle: Handle
    status: str


class Phase(StrEnum):
    """Where a job is. A provider may step back; UNKNOWN counts as running."""

    REQUESTED = "requested"
    DATA = "data"
    TRAINING = "training"
    TRAINED = "trained"
    DEPLOYING = "deploying"
    AVAILABLE = "available"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class ResultFile:
    """A file that a job made. `role` is weights, config or sample; None is what nobody says.

    The address is stored; what downloads the file is `Adapter.file_link`.
    """

    role: str
    address: str
    name: str = ""
    size: int | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True)
class Snapshot:
    """What a provider says of a job at one moment. `status` is its own word, `raw` all that it said.

    `other_ids` name the same job, too. `model` is the provider's name of what the job made, to be run by
    `GenerateRequest.weights`; empty where that takes the address of the weights. None of `is_public` is what
    nobody says.
    """

    handle: Handle
    phase: Phase
    status: str
    jobs_ahead: int | None = None
    error: str = ""
    files: tuple[ResultFile, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    other_ids: frozenset[str] = frozenset()
    is_public: bool | None = None
    model: str = ""


class Match(StrEnum):
    """Whether a job whose answer was lost was found. NOT_SEEN proves nothing where a list comes late."""

    FOUND = "found"
    NOT_SEEN = "not seen"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True)
class Reconciled:
    match: Match
    handle: Handle | None = None


@dataclass(frozen=True)
class LogLine:
    text: str
    level: str = ""
    at: datetime | None = None


class Cancelled(StrEnum):
    """What became of a wish to cancel. Whether the job ends, and what it costs then, only `poll` tells."""

    REMOVED = "removed"  # from the queue: it never ran
    REQUESTED = "requested"
    TOO_LATE = "too late"


@dataclass(frozen=True)
class GenerateRequest:
    """A run of a finished model. `weights`: their address, or the provider's name of the model.

    `inputs` are addresses of images. `strength` is that of the LoRA: 0 is the base model.
    """

    trainer: str
    weights: str
    inputs: Sequence[str]
    prompt: str
    strength: float = 1.0
    seed: int | None = None
    steps: int | None = None
    guidance: float | None = None


@dataclass(frozen=True)
class WebhookEvent:
    """A verified message about a job. It only causes a `poll`."""

    id: str
    status: str


OnAccepted = Callable[[Handle], None]


class Adapter(Protocol):
    """One account at one provider. Methods of a capability that is missing are never called."""

    @property
    def capabilities(self) -> frozenset[Capability]: ...

    @property
    def files(self) -> Files:
        """Checks and reads files behind links, whole or in slices, without the key."""

    def trainers(self) -> list[Trainer]:
        """What can be trained, and whether new jobs are taken; what this version does not know is last."""

    def check_key(self) -> None:
        """Raise UnauthorizedError for a key that is not accepted. Free of charge."""

    def estimate(self, trainer: str, steps: int, inputs: int) -> Money | None:
        """The price of a job with so many input images a pair; None where it is not known."""

    def put_dataset(
        self, name: str, file: IO[bytes], size: int, on_progress: Callable[[int], None] | None = None
    ) -> StoredDataset:
        """Upload a ZIP of `size` bytes. May be repeated."""

    def dataset_address(self, stored: StoredDataset, nonce: str) -> str:
        """An address of the ZIP that no other attempt has. If it raises, upload the ZIP again."""

    def submit(self, request: JobRequest) -> Accepted:
        """Start a paid training by exactly one request."""

    def reconcile(self, request: JobRequest, since: datetime) -> Reconciled:
        """Look for a job whose answer was lost, sent at `since` or later."""

    def poll(self, handle: Handle) -> Snapshot:
        """Ask for one job. Only an end in a Snapshot ends it, or a GoneError that lasts."""

    def jobs(self) -> list[Snapshot]:
        """All jobs of the account, whoever started them, by one call."""

    def file_link(self, file: ResultFile) -> str:
        """An address that downloads the file now, without the key. It may expire within an hour."""

    def logs(self, handle: Handle) -> list[LogLine]:
        """The whole log so far."""

    def cancel(self, handle: Handle) -> Cancelled: ...

    def cost(self, handle: Handle) -> Money | None:
        """What a job cost; None while it is not billed."""

    def balance(self) -> Money | None: ...

    def set_public(self, handle: Handle, *, public: bool) -> None: ...

    def handle(self, trainer: str, id: str) -> Handle:
        """The handle of a job of which only the id is known, such as from a webhook. Asks nobody."""

    def verify_webhook(self, headers: Mapping[str, str], body: bytes, received_at: datetime) -> WebhookEvent:
        """Raise SignatureError unless the provider signed this body shortly before `received_at`.

        Another CallError says that this cannot be judged now. `Provider.webhook_headers` are enough.
        """

    def put_image(self, image: bytes) -> str:
        """Upload an input of a generation and return its address. Free of charge, may be repeated."""

    def generate(self, request: GenerateRequest, on_accepted: OnAccepted | None = None) -> bytes:
        """Run a model once and return the picture. Paid, by exactly one request.

        `on_accepted` gets a run whose `cost` is billed later, as soon as it is accepted.
        """

    @property
    def run_cost(self) -> float | None:
        """What the last `generate` cost by the provider's answer, whatever became of its picture."""
        return None
