"""Form classes that several apps share, and which forms a view reads."""

from __future__ import annotations

from collections.abc import Callable

from django import forms
from django.forms.utils import pretty_name

from finetune_portal.web.http import P, R, View

MAX_DIGITS = 5  # of a number in the name of a field


class InlineForm(forms.Form):
    """A small form without room at its fields: its errors are shown in one message."""

    @property
    def error_text(self) -> str:
        return " ".join(str(error) for errors in self.errors.values() for error in errors)


def reads_forms(*classes: type[forms.BaseForm]) -> Callable[[View[R, P]], View[R, P]]:
    """Return a decorator for a view that reads these forms, by which others find the labels of its fields."""

    def decorate(view: View[R, P]) -> View[R, P]:
        view.form_classes = classes  # type: ignore[attr-defined]
        return view

    return decorate


def label_of(view: Callable[..., object], name: str) -> str:
    """The label of a field that the view reads, empty for one that nobody fills in.

    A form whose fields depend on rows has `row_labels`: by the part of the name before the number, a label
    with {} for the number, from 1. Other fields that not every such form has are named by its `label_for`.
    """
    classes = getattr(view, "form_classes", None)
    if classes is None:
        return pretty_name(name)
    prefix, _, number = name.rpartition("-")
    is_row = number.isdecimal() and len(number) <= MAX_DIGITS
    for form in classes:
        if field := form.base_fields.get(name):
            return "" if field.widget.is_hidden else str(field.label or pretty_name(name))
        if is_row and (label := getattr(form, "row_labels", {}).get(prefix)):
            return str(label).format(int(number) + 1)
        if label := getattr(form, "label_for", lambda _: "")(name):
            return str(label)
    return ""
