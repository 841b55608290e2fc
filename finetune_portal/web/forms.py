"""Form classes that several apps share."""

from __future__ import annotations

from django import forms


class Sentenced(forms.Form):
    """A small form whose faults are told in one message."""

    @property
    def sentence(self) -> str:
        return " ".join(str(error) for errors in self.errors.values() for error in errors)
