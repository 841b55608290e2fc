"""The training form. Every refusal is a sentence at its field."""

from __future__ import annotations

import re
import uuid
from typing import Any, cast

from django import forms

from finetune_portal.accounts.models import User
from finetune_portal.datasets import access
from finetune_portal.datasets.forms import UploadForm, UrlForm
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs import choices
from finetune_portal.jobs.models import Job

NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$")


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
    learning_rate = forms.FloatField(
        min_value=choices.MIN_RATE,
        max_value=choices.MAX_RATE,
        help_text="How big each correction is. The vendor's sample uses 0.0004.",
        error_messages={
            "required": "Give a learning rate, for example 0.0004.",
            "invalid": "A learning rate is a number such as 0.0004.",
            "min_value": "Too small to learn anything. Try 0.0004.",
            "max_value": "Too big: the model would fall apart. Stay below 0.01; try 0.0004.",
        },
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )
    steps = forms.IntegerField(
        min_value=choices.MIN_STEPS,
        max_value=choices.MAX_STEPS,
        help_text="How many corrections. More takes longer and costs more.",
        error_messages={
            "required": "Give a number of steps, for example 300.",
            "invalid": "Steps are a whole number such as 300.",
            "min_value": "At least 1 step.",
            "max_value": f"At most {choices.MAX_STEPS:,} steps.",
        },
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )

    class Meta:
        model = Job
        fields = (
            "name",
            "dataset",
            "instance_prompt",
            "learning_rate",
            "steps",
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
        self.initial.setdefault("form_key", uuid.uuid4())
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
        return self.cleaned_data["form_key"] or uuid.uuid4()

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
        elif isinstance(dataset, Dataset) and not cleaned.get("instance_prompt"):
            self._need_prompt(dataset)
        return cleaned

    def _need_prompt(self, dataset: Dataset) -> None:
        if dataset.state != Dataset.State.READY or dataset.captions < len(dataset.pairs):
            sentence = "Say what the edit does: not every pair has a caption of its own."
            self.add_error("instance_prompt", sentence)

    @property
    def training(self) -> dict[str, Any]:
        """The fields that describe the training, without the file and the dataset."""
        names = (
            "name",
            "instance_prompt",
            "learning_rate",
            "steps",
            "machine_type",
            "wants_public",
        )
        return {name: self.cleaned_data[name] for name in names}
