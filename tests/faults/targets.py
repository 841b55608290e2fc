"""What differs from provider to provider: its fake, its conditions, and what happens while it is in one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from tests.faults.killer import Killer
from tests.faults.proxy import Fault
from tests.provider import Job as Paid

if TYPE_CHECKING:
    from tests.faults.portal import Portal

WHOLE = 0  # the exit status of a process that nobody killed


@dataclass(frozen=True)
class Case:
    """`at` and `after`: the write that the process of this stage is killed at; 0 kills none."""

    stage: str = "worker"
    condition: str = "fine"
    at: int = 0
    after: bool = False
    fault: Fault | None = None

    def __str__(self) -> str:
        kill = f"kill {'after' if self.after else 'before'} write {self.at}" if self.at else ""
        return ", ".join(str(part) for part in (self.stage, self.condition, kill, self.fault) if part)

    @property
    def row(self) -> str:
        return f"proxy: {self.fault.call}" if self.fault else f"kill -9: {self.stage}"

    @property
    def column(self) -> str:
        return self.fault.action if self.fault else self.condition

    def killer(self, stage: str) -> Killer | None:
        return Killer(self.at, self.after) if stage == self.stage and self.at else None


class Ledger(Protocol):
    """The provider's own books: what was paid, which submits arrived, what is stored.

    The name of a paid job ends in the nonce of the portal's. `submits` are these nonces, one a submit.
    """

    @property
    def jobs(self) -> list[Paid]: ...

    @property
    def stored(self) -> Mapping[str, bytes]: ...

    @property
    def submits(self) -> list[str]: ...


class Target(ABC):
    """A provider that the portal is tried with, by a fake that has a ledger.

    `form`: the fields of a new job beside the usual ones. `web_writes`: of starting two jobs. `kills`: for
    each stage and condition how many writes lie between two at which the worker is killed. `calls`: those
    that are harmed at random. `knocks`: whether it sends webhooks. `ways`: how many ways of
    `test_machine.py` are gone in the long share.
    """

    name: ClassVar[str]
    form: ClassVar[Mapping[str, Any]] = {}
    web_writes: ClassVar[int]
    kills: ClassVar[Mapping[tuple[str, str], int]]
    calls: ClassVar[tuple[str, ...]]
    knocks: ClassVar[bool] = False
    ways: ClassVar[int] = 50

    def __str__(self) -> str:
        return self.name

    @abstractmethod
    def fake(self) -> AbstractContextManager[Any]:
        """The provider, which behaves."""

    @abstractmethod
    def call_of(self, method: str, target: str) -> str:
        """The name of a call by the first line of its request."""

    @abstractmethod
    def settings(self, url: str) -> dict[str, Any]:
        """The portal's settings by which it finds the provider at this address."""

    def connect(self) -> None:  # noqa: B027 - the built-in connection is there by itself
        """Make the connection to the provider the default, in a portal that has people and nothing else."""

    def prepare(self, portal: Portal, condition: str) -> None:  # noqa: B027 - most conditions need nothing
        """What an admin does before people start jobs."""

    @abstractmethod
    def be_impatient(self, seconds: float) -> None:
        """Wait so long for answers in this process, not for minutes."""

    @abstractmethod
    def ledger(self, fake: Any) -> Ledger:
        """The books of this fake."""

    def problems(self, portal: Portal) -> Iterator[str]:
        """What is wrong beside what `invariants.py` knows."""
        yield from ()

    @abstractmethod
    def rounds(self, condition: str) -> int:
        """How long the worker lives before anything else happens."""

    @abstractmethod
    def upset(self, portal: Portal, condition: str) -> None:
        """Bring the provider into this condition."""

    @abstractmethod
    def go_on(self, portal: Portal, case: Case) -> list[int]:
        """What people and the provider do next, and how the worker's life after it ended."""

    @abstractmethod
    def heal(self, portal: Portal) -> None:
        """Have the provider behave again."""

    def loosen(self, fake: Any) -> None:  # noqa: B027 - most can do all from the start
        """Let the provider do all that it can do."""

    @abstractmethod
    def show_late(self, fake: Any, looks: int) -> None:
        """Have new jobs shown only after so many looks at the list, or at the history."""

    @abstractmethod
    def show_all(self, fake: Any) -> None:
        """At last show whatever was paid."""

    def settle(self, portal: Portal, condition: str) -> list[int]:
        """What still happens when all is at rest, and how the worker's lives ended."""
        return []

    def decision(self, condition: str) -> str:
        """What a person does with a job in doubt: resend, or close."""
        return "resend"

    @abstractmethod
    def sample(self) -> tuple[Case, ...]:
        """Each stage, each condition and each harm once."""

    @abstractmethod
    def harms(self) -> Iterator[Case]:
        """Each harm of the proxy to each exchange."""
