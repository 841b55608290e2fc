"""Form fields for numbers that people type (numbers.py): several of a sweep, or one whole number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms

from finetune_portal.jobs import choices
from finetune_portal.jobs.numbers import NumberError, parse_numbers
from finetune_portal.web.templatetags.portal import rate


class NumbersField(forms.CharField):
    """One or several numbers of a `kind`, at most `count`, as a list without duplicates; empty is none."""

    def __init__(
        self, *, kind: type[float], least: float, most: float, count: int = choices.MAX_SWEEP, **kwargs: Any
    ) -> None:
        super().__init__(max_length=200, **kwargs)
        self.kind, self.least, self.most, self.count = kind, least, most, count

    def clean(self, value: Any) -> list[float]:
        text = str(super().clean(value))
        if not text:
            return []
        numbers = _parse(text, self.kind, str(self.error_messages["invalid"]), self._are_possible)
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


class WholeNumberField(forms.IntegerField):
    """One whole number. Django's own field reads 1.000 as 1."""

    def to_python(self, value: Any) -> int | None:
        if value in self.empty_values:
            return None
        numbers = _parse(str(value), int, str(self.error_messages["invalid"]), self._are_possible)
        if len(numbers) > 1:
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid")
        return int(numbers[0])

    def _are_possible(self, numbers: list[float]) -> bool:
        return len(numbers) == 1


def _parse(
    text: str, kind: type[float], invalid: str, are_possible: Callable[[list[float]], bool]
) -> list[float]:
    """Read numbers. Raises ValidationError with `invalid` and how to write what was probably meant."""
    try:
        return parse_numbers(text, kind)
    except NumberError as exc:
        readings = [reading for reading in exc.readings if are_possible(reading)]
        sentence = _question(readings) if readings else invalid
        raise forms.ValidationError(sentence, code="invalid") from None


def _question(readings: list[list[float]]) -> str:
    """Ask which of the readings was meant."""
    first, *others = (("; ".join(map(rate, reading)), len(reading)) for reading in readings)
    question = f"Did you mean {first[0]}? Write it without a separator"
    if first[1] > 1:
        question = f"Did you mean {first[1]} values? Write {first[0]}"
    return "".join((question, *(f", or write {text} for {count} values" for text, count in others), "."))
