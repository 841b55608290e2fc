"""Form fields for numbers that people type (numbers.py): several of a sweep, or one."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django import forms

from finetune_portal.web.numbers import NumberError, number_text, parse_numbers, without_thousands

MAX_CHARACTERS = 200


class TypedNumbers(forms.Field):
    """Numbers of a `kind` (int, float or Decimal), typed as text: a browser's number field takes no comma."""

    widget = forms.TextInput
    kind: type[float | Decimal]

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        keyboard = "numeric" if self.kind is int else "decimal"
        return {**super().widget_attrs(widget), "inputmode": keyboard, "autocomplete": "off"}

    def parse(self, text: str, are_possible: Callable[[list[Any]], bool]) -> list[Any]:
        """Read numbers. Raises ValidationError, which asks about a text with two possible readings."""
        try:
            numbers = parse_numbers(text, self.kind)
        except NumberError as exc:
            readings = exc.readings
        else:
            grouped = without_thousands(text, self.kind)
            if grouped is None or not are_possible(grouped):
                return numbers
            readings = [grouped, numbers]
        possible = [reading for reading in readings if are_possible(reading)]
        sentence = _question(possible) if possible else self.error_messages["invalid"]
        raise forms.ValidationError(sentence, code="invalid") from None


class NumbersField(TypedNumbers, forms.CharField):
    """One or several numbers of a `kind`, at most `count`, as a list without duplicates; empty is none."""

    def __init__(self, *, kind: type[float], least: float, most: float, count: int, **kwargs: Any) -> None:
        self.kind, self.least, self.most, self.count = kind, least, most, count
        super().__init__(max_length=MAX_CHARACTERS, **kwargs)

    def clean(self, value: Any) -> list[float]:
        text = str(super().clean(value))
        if not text:
            return []
        numbers = self.parse(text, self._are_possible)
        if len(numbers) > self.count:
            raise forms.ValidationError(self._too_many)
        for number in numbers:
            if code := self._range_error(number):
                raise forms.ValidationError(self.error_messages[code])
        return numbers

    @property
    def _too_many(self) -> str:
        return str(self.error_messages.get("count", f"Enter at most {self.count} values."))

    def _are_possible(self, numbers: list[float]) -> bool:
        return len(numbers) <= self.count and not any(map(self._range_error, numbers))

    def _range_error(self, number: float) -> str:
        return "min_value" if number < self.least else "max_value" if number > self.most else ""


class TypedNumber(TypedNumbers, forms.IntegerField):
    """One number. Django's own fields read 1.000 as 1, and no decimal comma."""

    def to_python(self, value: Any) -> Any:
        if value in self.empty_values:
            return None
        text = str(value)
        numbers = self.parse(text, self._are_possible) if len(text) <= MAX_CHARACTERS else []
        if len(numbers) != 1:
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        return numbers[0]

    def _are_possible(self, numbers: list[Any]) -> bool:
        least: Any = self.min_value
        most: Any = self.max_value
        return len(numbers) == 1 and all(
            (least is None or least <= number) and (most is None or number <= most) for number in numbers
        )


class WholeNumberField(TypedNumber):
    kind = int


class NumberField(TypedNumber, forms.FloatField):
    kind = float


class ExactNumberField(TypedNumber, forms.DecimalField):
    kind = Decimal


def _question(readings: list[list[Any]]) -> str:
    """Ask which of the readings was meant."""
    first, *others = (("; ".join(map(number_text, reading)), len(reading)) for reading in readings)
    question = (
        f"Did you mean {first[0]}? Write it {'like that' if '.' in first[0] else 'without a separator'}"
    )
    if first[1] > 1:
        question = f"Did you mean {first[1]} values? Write {first[0]}"
    return "".join((question, *(_alternative(*other) for other in others), "."))


def _alternative(text: str, count: int) -> str:
    return f", or write {text} for {count} values" if count > 1 else f", or write {text}"
