"""Form classes that several apps share."""

from __future__ import annotations

from django import forms


class InlineForm(forms.Form):
    """A small form without room at its fields: its errors are shown in one message."""

    @property
    def error_text(self) -> str:
        return " ".join(str(error) for errors in self.errors.values() for error in errors)
