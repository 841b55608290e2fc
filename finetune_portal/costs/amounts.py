"""Amounts of money or credits as exact decimals in both databases."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Any

from django.db import models
from django.db.models import Sum
from django.db.models.expressions import Combinable

CENT, FINE = Decimal("0.01"), Decimal("0.0001")
PLACES = 9  # fal bills in billionths of a dollar
UNIT = Decimal(1).scaleb(-PLACES)


def exact(value: Decimal | float | int | str) -> Decimal:
    """Return an amount without the noise of a float, rounded to PLACES."""
    amount = value if isinstance(value, Decimal) else Decimal(str(value))
    return amount.quantize(UNIT, ROUND_HALF_EVEN)


def amount_text(value: Decimal) -> str:
    """Format an amount to the cent, or to a hundredth of it where that is not nothing: 1,234.50 or 0.0375."""
    fine = value.quantize(FINE, ROUND_HALF_UP)
    cents = fine.quantize(CENT, ROUND_HALF_UP)
    return f"{cents if cents == fine else fine:,}"


class AmountField(models.BigIntegerField):  # type: ignore[type-arg]  # it cannot be subscripted
    """A Decimal that is stored as a whole number of billionths: SQLite has no decimals, and adds floats."""

    _pyi_private_set_type: Decimal | Combinable  # type: ignore[assignment]  # for django-stubs
    _pyi_private_get_type: Decimal  # type: ignore[assignment]

    def from_db_value(self, value: Any, *_: Any) -> Decimal | None:
        return None if value is None else Decimal(int(value)).scaleb(-PLACES)

    def to_python(self, value: Any) -> Decimal | None:
        return None if value is None else exact(value)

    def get_prep_value(self, value: Any) -> Any:
        if value is None or hasattr(value, "resolve_expression"):
            return value
        return int(exact(value).scaleb(PLACES))


class Total(Sum):
    """The exact sum of an amount; None without a row that has one."""

    def __init__(self, *expressions: Any, **extra: Any) -> None:
        super().__init__(*expressions, output_field=AmountField(), **extra)
