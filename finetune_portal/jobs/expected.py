"""What a job will take of time and money, by the finished jobs like it that a person may see."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from statistics import median
from typing import Any

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from finetune_portal.costs.models import Cost, currency_of
from finetune_portal.jobs import access, costs, durations
from finetune_portal.jobs.durations import MAX_JOBS, MIN_JOBS, ExpectedTime, Finished, Row, middle_half

Bills = dict[int, list[Cost]]  # by the key of their job

MAX_OF_ALL = 500  # jobs of all trainers that are looked at
CLOSE = Decimal("0.1")  # the part by which the steps may differ: nobody says that a price grows with them
MAX_SPREAD = Decimal("1.25")  # how many times more the dearest of the middle half of the jobs may cost


@dataclass(frozen=True)
class ExpectedPrice:
    """Of one job; of a sweep the lowest and the highest."""

    least: Decimal
    most: Decimal
    currency: str


@dataclass(frozen=True)
class Expected:
    """None is not known."""

    time: ExpectedTime | None = None
    price: ExpectedPrice | None = None


class PastJobs:
    """The newest finished jobs that a person may see: those of one trainer, and those of all.

    At most four queries, however often it is asked.
    """

    def __init__(self, user: User, connection: Connection, trainer: str) -> None:
        self.jobs = access.visible(user)
        self.of = (connection.pk, trainer)

    def expected(
        self,
        connection: Connection,
        trainer: str,
        steps: Iterable[int],
        parameters: Mapping[str, Any],
        inputs: int,
    ) -> Expected:
        """What jobs of so many steps take; `inputs` is the most input images that a pair has."""
        key, counts = (connection.pk, trainer), list(steps)
        rows = self._of_trainer if key == self.of else [each for each in self._of_all if _key(each) == key]
        finished = durations.alike(rows, parameters, inputs)
        time = durations.expected_time(finished, counts)
        if connection.is_free or not finished:
            return Expected(time)
        bills = self._bills if key == self.of else self._bills_of_all
        return Expected(time, _expected_price(finished, counts, bills, currency_of(connection)))

    @cached_property
    def _of_trainer(self) -> list[Row]:
        connection, trainer = self.of
        return durations.newest_finished(self.jobs.filter(connection=connection, trainer=trainer))

    @cached_property
    def _of_all(self) -> list[Row]:
        return durations.newest_finished(self.jobs, MAX_OF_ALL)

    @cached_property
    def _bills(self) -> Bills:
        return costs.bills_of(row["pk"] for row in self._of_trainer)

    @cached_property
    def _bills_of_all(self) -> Bills:
        return costs.bills_of(row["pk"] for row in self._of_all)


def _expected_price(
    finished: list[Finished], steps: list[int], bills: Bills, currency: str
) -> ExpectedPrice | None:
    """The median of the last bills of jobs of about so many steps; None without enough, or where they differ.

    A job that trained beside others of its account has none, unless its provider bills each job.
    """
    prices: list[Decimal] = []
    for count in steps:
        close = (each for each in finished if abs(each.steps - count) <= count * CLOSE)
        single = [bills[each.pk][0] for each in close if len(bills[each.pk]) == 1]
        amounts = [each.bill for each in single if each.bill is not None and each.currency == currency]
        middle = middle_half(amounts[:MAX_JOBS])
        if len(amounts) < MIN_JOBS or middle[-1] > MAX_SPREAD * middle[0]:
            return None
        prices.append(median(amounts[:MAX_JOBS]))
    return ExpectedPrice(min(prices), max(prices), currency) if prices else None


def _key(row: Row) -> tuple[int, str]:
    return row["connection"], row["trainer"]
