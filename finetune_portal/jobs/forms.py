"""The training form. Every refusal is a sentence at its field."""

from __future__ import annotations

import math
import re
import uuid
from itertools import product
from typing import Any, cast

from django import forms

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection, Kind
from finetune_portal.datasets import access
from finetune_portal.datasets.forms import UploadForm, UrlForm
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs import choices, limits
from finetune_portal.jobs.models import Job, Limits, Preset
from finetune_portal.web.forms import InlineForm

NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$")


class NumbersField(forms.CharField):
    """One number or several with commas or spaces between them, as a list without doubles."""

    def __init__(self, *, kind: type[float], least: float, most: float, **kwargs: Any) -> None:
        super().__init__(max_length=200, **kwargs)
        self.kind, self.least, self.most = kind, least, most

    def clean(self, value: Any) -> list[float]:
        words = re.split(r"[\s,;]+", str(super().clean(value)).strip(" ,;"))
        numbers = list(dict.fromkeys(self._number(word) for word in words))
        if len(numbers) > choices.MAX_SWEEP:
            raise forms.ValidationError(f"At most {choices.MAX_SWEEP} values at once.")
        return numbers

    def _number(self, word: str) -> float:
        try:
            number = self.kind(word)
        except ValueError:
            raise forms.ValidationError(self.error_messages["invalid"]) from None
        fault = "min_value" if number < self.least else "max_value" if number > self.most else ""
        if math.isnan(number):
            fault = "invalid"
        if fault:
            raise forms.ValidationError(self.error_messages[fault])
        return number


class ConnectionField(forms.ModelChoiceField):  # type: ignore[type-arg]  # not generic at run time
    """Each with what its account holds, where that is known."""

    def label_from_instance(self, obj: Connection) -> str:
        if obj.kind == Kind.ENGINE:
            description = "trains on your own hardware" if obj.is_training_real else "simulates"
            return f"{obj}: {description}, costs nothing"
        return f"{obj}: {obj.credits:,.2f} credits" if obj.credits is not None else str(obj)


def _speaks_for_itself(dataset: Dataset | None) -> bool:
    """Whether each pair surely has a caption; of a ZIP that was not looked into yet nobody knows."""
    if dataset is None or dataset.state != Dataset.State.READY:
        return False
    return dataset.caption_count == len(dataset.pairs)


class JobForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A training: name, dataset, instruction prompt, learning rate, steps, GPU, visibility."""

    form_key = forms.UUIDField(widget=forms.HiddenInput, required=False)
    dataset = forms.ModelChoiceField(
        queryset=Dataset.objects.none(),
        required=False,
        empty_label="Choose one of the team's datasets",
    )
    file = forms.FileField(required=False, label="ZIP file")
    source_url = forms.CharField(
        required=False,
        max_length=2000,
        label="Public address of a ZIP",
        help_text="The trainer fetches it from there. It must answer HEAD and GET with a Content-Length.",
        widget=forms.TextInput(attrs={"inputmode": "url", "placeholder": "https://example.com/pairs.zip"}),
    )
    learning_rate = NumbersField(
        kind=float,
        least=choices.MIN_RATE,
        most=choices.MAX_RATE,
        help_text="How big each correction is. Several, with commas between them, train one model each.",
        error_messages={
            "required": "Give a learning rate, for example 0.0004.",
            "invalid": "A learning rate is a number such as 0.0004.",
            "min_value": "Too small to learn anything. Try 0.0004.",
            "max_value": "Too big: the model would fall apart. Stay below 0.01; try 0.0004.",
        },
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    steps = NumbersField(
        kind=int,
        least=choices.MIN_STEPS,
        most=choices.MAX_STEPS,
        help_text="How many corrections. More takes longer and costs more.",
        error_messages={
            "required": "Give a number of steps, for example 300.",
            "invalid": "Steps are a whole number such as 300.",
            "min_value": "At least 1 step.",
            "max_value": f"At most {choices.MAX_STEPS:,} steps.",
        },
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )

    connection = ConnectionField(
        queryset=Connection.objects.none(),
        required=False,
        empty_label=None,
        widget=forms.RadioSelect,
        error_messages={"invalid_choice": "That connection was switched off. Choose another."},
    )

    class Meta:
        model = Job
        fields = (
            "name",
            "dataset",
            "instance_prompt",
            "machine_type",
            "wants_public",
        )
        labels = {
            "name": "Name",
            "instance_prompt": "Instruction prompt",
            "machine_type": "GPU",
            "wants_public": "Public model",
        }
        help_texts = {
            "instance_prompt": "What the edit does, in words: “put a red hat on the person”. "
            "Used for every pair without a caption of its own.",
            "wants_public": "Anyone can see and use a public model. You can switch later.",
        }
        error_messages = {"name": {"required": "Give the training a name."}}
        widgets = {
            "instance_prompt": forms.Textarea(attrs={"rows": 3}),
            "machine_type": forms.RadioSelect,
        }

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        field = cast("forms.ModelChoiceField[Dataset]", self.fields["dataset"])
        field.queryset = access.usable(user).order_by("-pk")
        field.error_messages["invalid_choice"] = "That dataset was refused or is gone. Choose another."
        self.connections = Connection.objects.in_use()
        cast("ConnectionField", self.fields["connection"]).queryset = self.connections
        self.initial.setdefault("connection", connections.default())
        self.initial.setdefault("form_key", uuid.uuid4())
        self.left, self.may_publish = limits.left(user), limits.may_publish(user)
        for name in self.errors if self.is_bound else ():
            if name in self.fields:
                described = f"id_{name}_error"
                self.fields[name].widget.attrs.update({"aria-invalid": "true", "aria-describedby": described})

    def clean_name(self) -> str:
        name = " ".join(str(self.cleaned_data["name"]).split())
        if not NAME.match(name):
            raise forms.ValidationError(
                "Use letters, digits, spaces, dots and dashes, beginning with a letter or digit."
            )
        return name

    def clean_form_key(self) -> uuid.UUID:
        """Of a form sent before, the same again; never another person's."""
        key = self.cleaned_data["form_key"]
        foreign = key and Job.objects.filter(form_key=key).exclude(owner=self.user).exists()
        return uuid.uuid4() if foreign or not key else uuid.UUID(str(key))

    def clean_wants_public(self) -> bool:
        if self.cleaned_data["wants_public"] and not limits.may_publish(self.user):
            raise forms.ValidationError(limits.ONLY_ADMINS_PUBLISH)
        return bool(self.cleaned_data["wants_public"])

    def clean_connection(self) -> Connection:
        return self.cleaned_data["connection"] or connections.default()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        file, dataset = cleaned.get("file"), cleaned.get("dataset")
        if file:
            upload = UploadForm({"filename": file.name, "size": file.size})
            if not upload.is_valid():
                self.add_error("file", upload.sentence)
        elif dataset is None and (url := cleaned.get("source_url")):
            address = UrlForm({"source_url": url})
            if not address.is_valid():
                self.add_error("source_url", address.sentence)
        elif dataset is None and "dataset" not in self.errors:
            self.add_error("dataset", "Drop a ZIP or choose a dataset from the library.")
        elif isinstance(dataset, Dataset):
            self._check_chosen(dataset, cleaned.get("connection"))
        if not cleaned.get("instance_prompt") and not _speaks_for_itself(None if file else dataset):
            sentence = "Say what the edit does: not every pair has a caption of its own."
            self.add_error("instance_prompt", sentence)
        return cleaned

    def _check_chosen(self, dataset: Dataset, connection: Connection | None) -> None:
        if connection and dataset.file_removed_at and not dataset.s3_url_for(connection):
            self.add_error("dataset", f"“{connection}” does not have this file, nor has the portal any more.")

    @property
    def trainings(self) -> list[dict[str, Any]]:
        """The parameters of each training: every learning rate with every number of steps."""
        names = ("name", "instance_prompt", "machine_type", "wants_public", "connection")
        same = {name: self.cleaned_data[name] for name in names}
        pairs = product(self.cleaned_data["learning_rate"], self.cleaned_data["steps"])
        return [{**same, "learning_rate": rate, "steps": steps} for rate, steps in pairs]


class DescribeForm(InlineForm):
    name = forms.CharField(max_length=80, error_messages={"required": "Give the training a name."})
    note_text = forms.CharField(max_length=4000, required=False)
    tags = forms.CharField(max_length=200, required=False)

    def clean_tags(self) -> str:
        """Words with commas between them, each once."""
        words = (" ".join(word.split()) for word in str(self.cleaned_data["tags"]).split(","))
        return ", ".join(dict.fromkeys(word for word in words if word))


class LimitsForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    class Meta:
        model = Limits
        fields = limits.NAMES
        labels = {
            "per_person_day": "Trainings a person may start a day",
            "per_team_month": "Trainings the team may start a month",
            "only_admins_publish": "Only admins make models public",
        }
        help_texts = {
            "per_person_day": "Empty is no limit. The local engine costs nothing and does not count.",
            "per_team_month": "Empty is no limit. Days and months are those of UTC.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("per_person_day", "per_team_month"):
            self.fields[name].required = False


class PresetForm(InlineForm):
    """Sent along with the training form, whose `name` is the training's."""

    preset_name = forms.CharField(max_length=40, error_messages={"required": "Give the preset a name."})
    learning_rate = forms.FloatField(
        min_value=choices.MIN_RATE,
        max_value=choices.MAX_RATE,
        error_messages={"invalid": "A preset has one learning rate.", "required": "Give a learning rate."},
    )
    steps = forms.IntegerField(
        min_value=choices.MIN_STEPS,
        max_value=choices.MAX_STEPS,
        error_messages={
            "invalid": "A preset has one number of steps.",
            "required": "Give a number of steps.",
        },
    )

    def clean_preset_name(self) -> str:
        name = str(self.cleaned_data["preset_name"])
        if Preset.objects.filter(name=name).exists():
            raise forms.ValidationError("There is a preset of this name already.")
        return name
