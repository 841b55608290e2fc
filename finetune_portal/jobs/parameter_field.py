"""The form field of a job's further parameters, as one line of text."""

from __future__ import annotations

import json
import re
from typing import Any

from django import forms

INVALID = "Write each as name=value, for example rank=32, seed=7."


def as_text(parameters: dict[str, Any]) -> str:
    """The parameters as `rank=32, seed=7`."""
    texts = {
        name: value if isinstance(value, str) else json.dumps(value) for name, value in parameters.items()
    }
    return ", ".join(f"{name}={value}" for name, value in texts.items())


class ParametersField(forms.CharField):
    """The text `rank=32, seed=7`, or a JSON object. The value is a dict, whose values may all be text."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=2000, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return as_text(value) if isinstance(value, dict) else value

    def clean(self, value: Any) -> dict[str, Any]:
        text = str(super().clean(value))
        if text.startswith("{"):
            return _json_object(text)
        pairs = [part.partition("=") for part in re.split(r"[,;\n]", text) if part.strip()]
        if not all(name.strip() and sign and each.strip() for name, sign, each in pairs):
            raise forms.ValidationError(INVALID)
        return {name.strip(): each.strip() for name, _, each in pairs}


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise forms.ValidationError(INVALID)
    return value
