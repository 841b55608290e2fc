"""What the suite needs of a provider: an account at its fake, the fake's ledger, and its switches."""

from __future__ import annotations

import io
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, NoReturn

import pytest

from finetune_portal.providers.contract import (
    Account,
    Adapter,
    Capability,
    Handle,
    JobRequest,
    Phase,
    Snapshot,
)
from finetune_portal.providers.errors import CallError
from tests.provider import Answer
from tests.waiting import until

SOME_ZIP = "https://example.com/pairs.zip"


class Call(Enum):
    """A request that a test scripts or counts; each subject has its own name for it."""

    SUBMIT = "submit"  # the paid one of a training
    POLL = "poll"
    FIND = "find"  # of a reconcile
    UPLOAD = "upload"  # of a dataset, to the storage
    FILE = "file"  # behind a link
    GENERATE = "generate"  # the paid one of a generation


class Subject(ABC):
    """One provider, on which a test plays tricks. New jobs wait until they are moved, if they can.

    `cannot` skips the test and says why. All other members work at each subject, or call it.
    """

    title: str
    phases: tuple[Phase, ...]  # those that the provider declares
    dataset: bytes  # a ZIP that the provider takes
    # The fields of a usual request: its trainer, and a learning rate and steps that it takes.
    usual: Mapping[str, Any]
    stores_with_the_key = False  # datasets go to the API itself, not to a storage that does not know the key

    def __init__(self, account: Account) -> None:
        self.account = account
        self.nonce = secrets.token_hex(4)
        self.adapter = self.make(account)

    @abstractmethod
    def make(self, account: Account, **options: Any) -> Adapter:
        """Another adapter."""

    # The ledger, which is the truth.

    @abstractmethod
    def jobs(self, nonce: str) -> int:
        """How many trainings with this nonce were taken, and will be paid."""

    @abstractmethod
    def generations(self) -> int:
        """How many generations were taken, and will be paid."""

    @abstractmethod
    def sent(self, call: Call) -> int:
        """How many requests of this call arrived."""

    @abstractmethod
    def shown(self) -> Iterator[bytes]:
        """All that each request has shown, without the header in which the key belongs there."""

    # What the provider does next.

    @abstractmethod
    def script(self, call: Call, *answers: Answer) -> None:
        """The next answers to this call, instead of the right ones."""

    @abstractmethod
    def answer_all(self, answer: Answer) -> None:
        """Answer all calls so, for now."""

    @abstractmethod
    def answer_rightly(self) -> None: ...

    @abstractmethod
    def stop(self) -> None:
        """Refuse connections until `start`."""

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def list_late(self) -> None:
        """Show each new job one look later to whoever looks for it."""

    # What becomes of a job.

    @abstractmethod
    def unknown_handle(self) -> Handle:
        """The handle of a job that never was."""

    @abstractmethod
    def move(self, handle: Handle, phase: Phase) -> None:
        """The job is waiting (REQUESTED) or being trained (TRAINING) now."""

    @abstractmethod
    def finish(self, handle: Handle) -> None:
        """The job ends well."""

    @abstractmethod
    def failed(self) -> tuple[Handle, str]:
        """A job that has ended badly, and the provider's words for it."""

    @abstractmethod
    def odd_status(self, handle: Handle, status: str, **fields: Any) -> Answer:
        """An answer to POLL with a status and fields that nobody knows."""

    @abstractmethod
    def generates_at_once(self) -> None:
        """Generations end by themselves from now on."""

    # The same for all.

    def cannot(self, why: str) -> NoReturn:
        pytest.skip(f"{self.title}: {why}")

    def needs(self, capability: Capability) -> None:
        if capability not in self.adapter.capabilities:
            self.cannot(f"it has no capability {capability}")

    def request(self, **fields: Any) -> JobRequest:
        usual = {"name": "Red hats", "nonce": self.nonce, "dataset": SOME_ZIP, "prompt": "Put a red hat on"}
        return JobRequest(**{**usual, **self.usual, **fields})

    def uploaded(self) -> str:
        """The address of a dataset, for one attempt."""
        stored = self.adapter.put_dataset("pairs.zip", io.BytesIO(self.dataset), len(self.dataset))
        return self.adapter.dataset_address(stored, self.nonce)

    def started(self, **fields: Any) -> Handle:
        """A job with a dataset of its own."""
        return self.adapter.submit(self.request(**{"dataset": self.uploaded(), **fields})).handle

    def ended(self) -> Snapshot:
        """A job that has ended well."""
        handle = self.started()
        self.finish(handle)
        return until(lambda: self.at(handle, Phase.AVAILABLE))

    def at(self, handle: Handle, phase: Phase) -> Snapshot | None:
        snapshot = self.adapter.poll(handle)
        return snapshot if snapshot.phase is phase else None

    def failure(self, call: Callable[[], object], *secret: str) -> CallError:
        """The error of a call, which shows neither the key nor a secret."""
        with pytest.raises(CallError) as caught:
            call()
        error = caught.value
        shown = f"{error} {error!r} {error.detail} {error.__dict__} {error.args}"
        assert not [each for each in (self.account.key, *secret) if each in shown]
        assert error.__suppress_context__ or error.__context__ is None
        return error
