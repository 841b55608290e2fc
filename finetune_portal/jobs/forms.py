"""The job form and the small forms of the job pages. Every error is a sentence at its field."""

from __future__ import annotations

import uuid
from itertools import product
from typing import Any, cast

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Q

from finetune_portal.accounts.models import User
from finetune_portal.connections import closing, parameters
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.datasets import access
from finetune_portal.datasets.forms import UploadForm, UrlForm
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs import choices, limits
from finetune_portal.jobs.models import Job, Limits, Preset
from finetune_portal.jobs.number_fields import NumbersField, WholeNumberField
from finetune_portal.jobs.parameter_field import ParametersField
from finetune_portal.jobs.select_fields import ConnectionField, ConnectionRadios, DatasetField
from finetune_portal.providers.contract import ParameterError
from finetune_portal.web.forms import InlineForm
from finetune_portal.web.names import NameField

MAX_LIMIT = 2_147_483_647  # what the column holds
WHOLE_NUMBER_INPUT = forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"})


def _has_all_captions(dataset: Dataset | None) -> bool:
    """Whether every pair is known to have a caption; a ZIP that is not checked yet counts as no."""
    if dataset is None or dataset.state != Dataset.State.READY:
        return False
    return dataset.caption_count == len(dataset.pairs)


def _rate_field(count: int = choices.MAX_SWEEP, single: str = "") -> NumbersField:
    return NumbersField(
        kind=float,
        least=choices.MIN_RATE,
        most=choices.MAX_RATE,
        count=count,
        help_text="How far each step changes the model. Each of several values, such as 0.0001; 0.0004, "
        "trains a model of its own.",
        error_messages={
            "required": "Enter a learning rate, for example 0.0004.",
            "invalid": "Enter the learning rate as a number such as 0.0004.",
            "min_value": "Too small to learn anything. Try 0.0004.",
            "max_value": "Too large: the training would diverge. Stay below 0.01; try 0.0004.",
            **({"count": single} if single else {}),
        },
        widget=forms.TextInput(attrs={"inputmode": "decimal", "autocomplete": "off"}),
    )


def _steps_field(count: int = choices.MAX_SWEEP, single: str = "") -> NumbersField:
    return NumbersField(
        kind=int,
        least=choices.MIN_STEPS,
        most=choices.MAX_STEPS,
        count=count,
        help_text="More steps take longer and cost more. Write 2500, and several values as 300; 1000.",
        error_messages={
            "required": "Enter a number of steps, for example 300.",
            "invalid": "Enter the steps as a whole number such as 300.",
            "min_value": "Enter at least 1 step.",
            "max_value": f"Enter at most {choices.MAX_STEPS:,} steps.",
            **({"count": single} if single else {}),
        },
        widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}),
    )


class JobForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A job, or several as a sweep: name, dataset, prompt, learning rate, steps, GPU, visibility."""

    form_key = forms.UUIDField(widget=forms.HiddenInput, required=False)
    name = NameField(max_length=80, error_messages={"required": "Enter a name for the job."})
    dataset = DatasetField(
        queryset=Dataset.objects.none(),
        required=False,
        empty_label="Select a dataset",
    )
    file = forms.FileField(required=False, label="ZIP file")
    source_url = forms.CharField(
        required=False,
        max_length=2000,
        label="Public URL of a ZIP",
        help_text="Downloaded by the provider. Its server must answer HEAD and GET with a Content-Length.",
        widget=forms.TextInput(attrs={"inputmode": "url", "placeholder": "https://example.com/pairs.zip"}),
    )
    learning_rate = _rate_field()
    steps = _steps_field()
    parameters = ParametersField(
        required=False,
        label="Further parameters",
        help_text="From the earlier job, as name=value. Clear the field to train without them.",
    )
    connection = ConnectionField(
        queryset=Connection.objects.none(),
        required=False,
        empty_label=None,
        widget=ConnectionRadios,
        error_messages={"invalid_choice": "This connection was deactivated. Select another one."},
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
            "instance_prompt": "Prompt",
            "wants_public": "Public model",
        }
        help_texts = {
            "instance_prompt": "What the edit does, for example “put a red hat on the person”. "
            "Used for every pair without a caption.",
            "wants_public": "Anyone can see and use a public model. You can change this later.",
        }
        widgets = {
            "instance_prompt": forms.Textarea(attrs={"rows": 3, "dir": "auto"}),
            "machine_type": forms.HiddenInput,
        }

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        field = cast("forms.ModelChoiceField[Dataset]", self.fields["dataset"])
        field.queryset = access.usable(user).defer("verdict").order_by("-pk")
        field.error_messages["invalid_choice"] = "This dataset was rejected or deleted. Select another one."
        self.connections = Connection.objects.in_use()
        cast("ConnectionField", self.fields["connection"]).queryset = self.connections
        self.initial.setdefault("connection", connections.default())
        self.initial.setdefault("form_key", uuid.uuid4())
        self.left, self.may_publish = limits.remaining(user), limits.may_publish(user)

    @property
    def has_choice(self) -> bool:
        """Whether there are several connections to choose from."""
        return len(self.connections) > 1

    def clean_form_key(self) -> uuid.UUID:
        """Return the key of a form sent before unchanged, but never that of another person's form."""
        key = self.cleaned_data["form_key"]
        is_foreign = key and Job.objects.filter(form_key=key).exclude(owner=self.user).exists()
        return uuid.uuid4() if is_foreign or not key else uuid.UUID(str(key))

    def clean_wants_public(self) -> bool:
        if self.cleaned_data["wants_public"] and not limits.may_publish(self.user):
            raise forms.ValidationError(limits.ONLY_ADMINS_PUBLISH)
        return bool(self.cleaned_data["wants_public"])

    def clean_connection(self) -> Connection:
        connection = self.cleaned_data["connection"] or connections.default()
        if not connection.takes_jobs and not self._is_sent_again():
            raise forms.ValidationError(closing.refusal(connection))
        return connection

    def _is_sent_again(self) -> bool:
        """Whether this form has started its jobs already."""
        key = self.cleaned_data.get("form_key")
        return Job.objects.filter(Q(form_key=key) | Q(sweep=key), owner=self.user).exists()

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        file, dataset, url = (cleaned.get(name) for name in ("file", "dataset", "source_url"))
        if file:
            self._check_file(file)
        elif isinstance(dataset, Dataset):
            self._check_chosen(dataset, cleaned.get("connection"))
        elif url:
            self._check_url(url)
        elif "dataset" not in self.errors:
            self.add_error("dataset", "Drop a ZIP file or select a dataset from the library.")
        if (values := cleaned.get("parameters")) and (connection := cleaned.get("connection")):
            self._read_parameters(connection, values)
        if not cleaned.get("instance_prompt") and not _has_all_captions(None if file else dataset):
            reason = ": not every pair has a caption" if isinstance(dataset, Dataset) and not file else ""
            self.add_error("instance_prompt", f"Enter a prompt{reason}.")
        return cleaned

    def _read_parameters(self, connection: Connection, values: dict[str, Any]) -> None:
        try:
            self.cleaned_data["parameters"] = parameters.read(connection, values)
        except ParameterError as exc:
            self.add_error("parameters", str(exc))

    def _check_file(self, file: UploadedFile) -> None:
        upload = UploadForm({"filename": file.name, "size": file.size})
        if not upload.is_valid():
            self.add_error("file", upload.sentence)

    def _check_url(self, url: str) -> None:
        form = UrlForm({"source_url": url})
        if not form.is_valid():
            self.add_error("source_url", form.sentence)

    def _check_chosen(self, dataset: Dataset, connection: Connection | None) -> None:
        if connection and dataset.file_removed_at and not dataset.s3_url_for(connection):
            self.add_error("dataset", f"Neither “{connection}” nor the portal has this file any more.")

    @property
    def gpu(self) -> str:
        return choices.Machine.H100.label

    @property
    def has_paid_connection(self) -> bool:
        return not all(connection.is_free for connection in self.connections)

    @property
    def has_free_connection(self) -> bool:
        return any(connection.is_free for connection in self.connections)

    @property
    def is_free(self) -> bool:
        """Whether the chosen connection is the local engine."""
        return bool(getattr(self.cleaned_data.get("connection"), "is_free", False))

    @property
    def job_parameters(self) -> list[dict[str, Any]]:
        """The parameters of each job: every learning rate with every number of steps."""
        names = ("name", "instance_prompt", "machine_type", "wants_public", "connection", "parameters")
        same = {name: self.cleaned_data[name] for name in names}
        pairs = product(self.cleaned_data["learning_rate"], self.cleaned_data["steps"])
        return [{**same, "learning_rate": rate, "steps": steps} for rate, steps in pairs]


class DescribeForm(InlineForm):
    name = NameField(max_length=80, error_messages={"required": "Enter a name for the job."})
    note_text = forms.CharField(max_length=4000, required=False)
    tags = forms.CharField(max_length=200, required=False)

    def clean_tags(self) -> str:
        """Return the comma-separated tags, each once."""
        words = (" ".join(word.split()) for word in str(self.cleaned_data["tags"]).split(","))
        return ", ".join(dict.fromkeys(word for word in words if word))


class ConnectionForm(InlineForm):
    """Another connection for a job that waits for a closed provider."""

    connection = ConnectionField(
        queryset=Connection.objects.none(),
        empty_label=None,
        error_messages={
            "required": "Select a connection.",
            "invalid_choice": "This connection was deactivated. Select another one.",
        },
    )

    def __init__(self, *args: Any, job: Job, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        others = Connection.objects.in_use().exclude(pk=job.connection_id)
        cast("ConnectionField", self.fields["connection"]).queryset = others


class LimitsForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    per_person_day = WholeNumberField(
        label="Jobs per person and day",
        help_text="No limit if empty. Jobs of the local engine are free and do not count.",
        required=False,
        min_value=0,
        max_value=MAX_LIMIT,
        widget=WHOLE_NUMBER_INPUT,
    )
    per_team_month = WholeNumberField(
        label="Jobs of the team per month",
        help_text="No limit if empty. Days and months are in UTC.",
        required=False,
        min_value=0,
        max_value=MAX_LIMIT,
        widget=WHOLE_NUMBER_INPUT,
    )

    class Meta:
        model = Limits
        fields = limits.NAMES
        labels = {"only_admins_publish": "Only admins make models public"}


class PresetForm(InlineForm):
    """Sent with the job form, whose `name` is the job's, hence `preset_name`."""

    preset_name = NameField(max_length=40, error_messages={"required": "Enter a name for the preset."})
    learning_rate = _rate_field(count=1, single="A preset has a single learning rate.")
    steps = _steps_field(count=1, single="A preset has a single number of steps.")

    def clean_learning_rate(self) -> float:
        return float(self.cleaned_data["learning_rate"][0])

    def clean_steps(self) -> int:
        return int(self.cleaned_data["steps"][0])

    def clean_preset_name(self) -> str:
        name = str(self.cleaned_data["preset_name"])
        if Preset.objects.filter(name=name).exists():
            raise forms.ValidationError("A preset with this name already exists.")
        return name
