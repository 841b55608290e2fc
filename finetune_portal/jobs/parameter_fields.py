"""The form fields of further parameters: one for each that a connection takes, and one line for the rest."""

from __future__ import annotations

from typing import Any

from django import forms

from finetune_portal.jobs.parameter_text import ParameterTextError, as_text, label_of, parse, value_text
from finetune_portal.providers.parameter import MAX_TEXT, Parameter
from finetune_portal.web.number_fields import NumbersField

PREFIX = "parameter-"
FLAGS = {"true": "Yes", "false": "No"}
INVALID = "Write each as name=value, for example rank=32, seed=7."
PLAIN = {"autocomplete": "off"}


def field_name(parameter: str) -> str:
    return f"{PREFIX}{parameter}"


def field_for(parameter: Parameter, count: int) -> forms.Field:
    """The field of a parameter, with at most `count` values of a number. Empty is the provider's default."""
    given: dict[str, Any] = {
        "required": False,
        "label": label_of(parameter.name),
        "help_text": parameter.help,
    }
    if parameter.type in ("whole", "number"):
        return _numbers_field(parameter, count, given)
    if parameter.type in ("flag", "choice"):
        return _choice_field(parameter, given)
    if parameter.type == "any":
        given["help_text"] = "Not known to this version: the provider checks it."
    most = MAX_TEXT if parameter.type == "any" else int(parameter.most)
    return forms.CharField(max_length=most, widget=forms.TextInput(attrs=PLAIN), **given)


def _numbers_field(parameter: Parameter, count: int, given: dict[str, Any]) -> NumbersField:
    label = given["label"]
    is_whole = parameter.type == "whole"
    bounds = f"{parameter.least:,.10g} to {parameter.most:,.10g}"
    multiple = f", a multiple of {parameter.step:g}" if parameter.step else ""
    default = "" if parameter.default is None else value_text(parameter.default)
    empty = f"; {default} if empty" if default else ""
    sentence = f"{label} must be a {'whole ' * is_whole}number from {bounds}."
    return NumbersField(
        kind=int if is_whole else float,
        least=parameter.least,
        most=parameter.most,
        count=count,
        error_messages={
            **dict.fromkeys(("invalid", "min_value", "max_value"), sentence),
            **({"count": f"A preset has a single value of {label}."} if count == 1 else {}),
        },
        widget=forms.TextInput(attrs={"placeholder": default}),
        **{**given, "help_text": f"{parameter.help} {bounds}{multiple}{empty}.".strip()},
    )


def _choice_field(parameter: Parameter, given: dict[str, Any]) -> forms.ChoiceField:
    choices = FLAGS if parameter.type == "flag" else {each: each for each in parameter.choices}
    default = "" if parameter.default is None else choices[value_text(parameter.default)]
    first = f"Default ({default[:1].lower()}{default[1:]})" if default else "Default"
    return forms.ChoiceField(
        choices=[("", first), *choices.items()],
        error_messages={"invalid_choice": f"{given['label']} must be one of: {', '.join(choices)}."},
        **given,
    )


class ParametersField(forms.CharField):
    """The text `rank=32, seed=7`, or a JSON object. The value is a dict, whose values may all be text."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=2000, **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return as_text(value) if isinstance(value, dict) else value

    def clean(self, value: Any) -> dict[str, Any]:
        try:
            return parse(str(super().clean(value)))
        except ParameterTextError:
            raise forms.ValidationError(INVALID) from None
