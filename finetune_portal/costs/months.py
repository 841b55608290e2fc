"""Months in UTC, by which costs are summed and budgets begin anew."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Q
from django.utils.timezone import now


@dataclass(frozen=True, order=True)
class Month:
    year: int
    month: int

    @classmethod
    def of(cls, moment: datetime) -> Month:
        moment = moment.astimezone(UTC)
        return cls(moment.year, moment.month)

    @classmethod
    def current(cls) -> Month:
        return cls.of(now())

    @classmethod
    def parse(cls, text: str) -> Month | None:
        """The month of a text such as 2026-11; None for any other text."""
        try:
            return cls.of(datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC))
        except ValueError:
            return None

    @property
    def starts_at(self) -> datetime:
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def previous(self) -> Month:
        return Month(self.year, self.month - 1) if self.month > 1 else Month(self.year - 1, 12)

    @property
    def next(self) -> Month:
        return Month(self.year, self.month + 1) if self.month < 12 else Month(self.year + 1, 1)

    @property
    def condition(self) -> Q:
        """Costs that were queued in this month."""
        return Q(at__gte=self.starts_at, at__lt=self.next.starts_at)

    @property
    def title(self) -> str:
        return f"{self.starts_at:%B %Y}"

    def __str__(self) -> str:
        return f"{self.year:04}-{self.month:02}"
