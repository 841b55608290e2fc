"""The part of a form about what is trained: the trainer, and a field for each further parameter of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, cast

from django import forms
from django.forms import BoundField

from finetune_portal.connections import parameters, trainers
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.jobs import offers
from finetune_portal.jobs.parameter_fields import PREFIX, field_for, field_name
from finetune_portal.jobs.parameter_text import ParameterTextError, as_text, label_of, parse, value_text
from finetune_portal.providers.contract import Availability, Trainer
from finetune_portal.providers.parameter import Parameter, ParameterError
from finetune_portal.web.keys import parse_key


class ParametersMixin(forms.BaseForm):
    """For a form with the fields `trainer` and `parameters`, sent with `connection`.

    `parameters` is for what has no other field.
    """

    taker: Connection
    trainers: list[Trainer]
    chosen: Trainer
    taken: dict[str, Parameter]

    def add_parameter_fields(self, usable: Iterable[Connection], *, count: int) -> None:
        """Add the fields of the selected trainer, each for at most `count` numbers, and fill them.

        The field `offer` of a page, where it is sent, says both the connection and the trainer.
        """
        if self.is_bound and self.data.get("offer"):
            self.data = {**dict(self.data.items()), **offers.split(self.data["offer"])}
        elif self.initial.get("offer"):
            self.initial = {**self.initial, **offers.split(self.initial["offer"])}
        self.taker = self._selected(usable)
        self.trainers = trainers.of(self.taker)
        self.chosen = self._selected_trainer()
        choices = [(each.id, each.title) for each in self.trainers]
        cast("forms.ChoiceField", self.fields["trainer"]).choices = choices
        self.taken = parameters.taken_by(self.taker, self.chosen.id)
        for name, parameter in self.taken.items():
            self.fields[field_name(name)] = field_for(parameter, count)
        rest = self.fields["parameters"]
        rest.help_text = f"{self.taker_name} does not take these. Clear the field to train without them."
        if self.is_bound:
            self.data = self._distributed(self.data)
        else:
            self.initial = self._distributed(self.initial)

    @property
    def has_trainers(self) -> bool:
        """Whether there are several trainers to choose from."""
        return len(self.trainers) > 1

    @property
    def default_numbers(self) -> str:
        """The trainer's own steps and learning rate, in words; empty where it names none."""
        free = (each for each in self.chosen.parameters if not each.is_fixed)
        defaults = {each.name: each.default for each in free if each.default is not None}
        if not {"steps", "learning_rate"} <= defaults.keys():
            return ""
        return f"{defaults['steps']:,} steps at {value_text(defaults['learning_rate'])}"

    @property
    def fixed(self) -> list[Parameter]:
        """What this trainer sets itself, whatever is typed."""
        return [each for each in self.chosen.parameters if each.is_fixed]

    @property
    def taker_name(self) -> str:
        return f"“{self.chosen.title}” at “{self.taker}”" if self.has_trainers else f"“{self.taker}”"

    def clean_trainer(self) -> str:
        """Return the id of the trainer. Where there is one alone, nothing is asked."""
        typed = str(self.cleaned_data["trainer"]) if self.has_trainers else ""
        chosen = next((each for each in self.trainers if each.id == typed), self.chosen)
        if not chosen.is_known:
            raise forms.ValidationError("This version of the portal does not know how to start this one.")
        if chosen.availability is Availability.CLOSED:
            raise forms.ValidationError(f"“{self.taker}” takes no new jobs for this. Select another one.")
        return chosen.id

    def check_numbers(self, names: Iterable[str] = ("steps", "learning_rate")) -> None:
        """Hold the fields that every trainer has to the bounds of this one."""
        by_name = {each.name: each for each in self.chosen.parameters if not each.is_fixed}
        for name in by_name.keys() & set(names):
            typed = self.cleaned_data.get(name)
            try:
                for value in typed if isinstance(typed, list) else [typed] if typed is not None else []:
                    by_name[name].read(value)
            except ParameterError as exc:
                self.add_error(name, str(exc).replace(name, label_of(name), 1))

    @property
    def parameter_fields(self) -> list[BoundField]:
        return [self[field_name(name)] for name in self.taken]

    @property
    def has_parameters(self) -> bool:
        """Whether any further parameter is filled in or wrong."""
        return any(field.value() or field.errors for field in (*self.parameter_fields, self["parameters"]))

    @staticmethod
    def label_for(name: str) -> str:
        """The label of a field of this form that only some connections have; empty for any other."""
        return label_of(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else ""

    def read_parameters(self) -> dict[str, list[Any]]:
        """The values of each parameter that is filled in, in their types. Adds errors to the fields."""
        values = {name: [value] for name, value in self._read_rest().items()}
        for name, parameter in self.taken.items():
            typed = self.cleaned_data.get(field_name(name)) or []
            if typed and name in values:
                self.add_error("parameters", f"{name} has a field of its own, and two values.")
            try:
                read = [parameter.read(each) for each in (typed if isinstance(typed, list) else [typed])]
            except ParameterError as exc:
                self.add_error(field_name(name), str(exc))
                continue
            if read:
                values[name] = read
        return values

    def typed_value(self, name: str) -> Any:
        """The one value typed for a parameter, or None. Raises ParameterError or ValidationError."""
        field = field_name(name)
        if name not in self.taken:
            return None
        typed = self.fields[field].clean(self[field].value()) or []
        values = typed if isinstance(typed, list) else [typed]
        if len(values) > 1:
            raise ParameterError(f"{name} has several values.")
        return self.taken[name].read(values[0]) if values else None

    def _read_rest(self) -> dict[str, Any]:
        try:
            line = self.cleaned_data.get("parameters") or {}
            return parameters.read(self.taker, line, self.chosen.id)
        except ParameterError as exc:
            self.add_error("parameters", str(exc))
            return {}

    def _selected(self, usable: Iterable[Connection]) -> Connection:
        value = (self.data if self.is_bound else self.initial).get("connection")
        pk = value.pk if isinstance(value, Connection) else parse_key(str(value))
        return next((each for each in usable if each.pk == pk), None) or connections.default()

    def _selected_trainer(self) -> Trainer:
        """The one that was selected at this connection, else its first, which this version may not know."""
        value = (self.data if self.is_bound else self.initial).get("trainer") or ""
        known = [each for each in self.trainers if each.is_known] or self.trainers
        return next((each for each in known if each.id == value), known[0])

    def _distributed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values with each parameter in its field, and what the connection does not take in the line.

        A script may send any of them in the line: as JSON they stay there, in their types.
        """
        fields = dict(values.items())  # the last value of each, as a field takes it
        line = fields.get("parameters") or ""
        typed = {
            name.removeprefix(PREFIX): text
            for name, text in fields.items()
            if name.startswith(PREFIX) and isinstance(text, str) and text.strip()
        }
        with suppress(ParameterTextError, RecursionError):
            rest = dict(line) if isinstance(line, dict) else parse(str(line))
            is_json = self.is_bound and str(line).startswith("{")
            movable = [] if is_json else [name for name in rest if name in self.taken and name not in typed]
            moved = {field_name(name): value_text(rest.pop(name)) for name in movable}
            rest |= {name: text for name, text in typed.items() if name not in self.taken}
            text = json.dumps(rest, ensure_ascii=False) if is_json else as_text(rest)
            return {**fields, **moved, "parameters": text}
        return fields
