"""The forms of a new job, its presets and the limits. Every error is a sentence at its field."""

from __future__ import annotations

import uuid
from math import prod
from typing import Any, cast

from django import forms
from django.core.files.uploadedfile import UploadedFile
from django.db.models import Q

from finetune_portal.accounts.models import User
from finetune_portal.connections import closing
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.datasets import access
from finetune_portal.datasets.forms import UploadForm, UrlForm
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs import access as job_access
from finetune_portal.jobs import choices, inputs, limits, placement, services, sweeps
from finetune_portal.jobs.models import Job, Limits
from finetune_portal.jobs.parameter_fields import ParametersField, field_name
from finetune_portal.jobs.parameter_forms import ParametersMixin
from finetune_portal.jobs.select_fields import (
    ConnectionField,
    DatasetField,
)
from finetune_portal.jobs.summary_forms import SummaryMixin
from finetune_portal.projects.forms import ProjectField
from finetune_portal.web.forms import InlineForm
from finetune_portal.web.names import NameField
from finetune_portal.web.number_fields import NumbersField, WholeNumberField

NAME_LENGTH, PROMPT_LENGTH = 80, 1000  # of a job
NAME_TAKEN = "A preset with this name already exists."
MAX_LIMIT = 2_147_483_647  # what the column holds
PROJECT_HELP = (
    "A private project takes your own dataset along, unless other jobs use it. "
    "Other datasets stay as they are."
)
STEPS_HELP = "More steps take longer{}. Write 2500, and several values as 300; 1000."


def _why_needed(dataset: Dataset | None) -> str:
    """Why a prompt is needed, as the end of the sentence that asks for it."""
    if dataset is None:
        return ""
    if dataset.state == Dataset.State.READY:
        return ": not every pair has a caption"
    return ": the dataset is not checked yet, so it is not known whether every pair has a caption"


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
    )


def _steps_field(count: int = choices.MAX_SWEEP, single: str = "") -> NumbersField:
    return NumbersField(
        kind=int,
        least=choices.MIN_STEPS,
        most=choices.MAX_STEPS,
        count=count,
        help_text=STEPS_HELP.format(" and cost more"),
        error_messages={
            "required": "Enter a number of steps, for example 300.",
            "invalid": "Enter the steps as a whole number such as 300.",
            "min_value": "Enter at least 1 step.",
            "max_value": f"Enter at most {choices.MAX_STEPS:,} steps.",
            **({"count": single} if single else {}),
        },
    )


class JobForm(SummaryMixin, forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """A job, or several as a sweep: name, dataset, prompt, connection with its parameters, visibility."""

    form_key = forms.UUIDField(widget=forms.HiddenInput, required=False)
    name = NameField(max_length=NAME_LENGTH, error_messages={"required": "Enter a name for the job."})
    dataset = DatasetField(
        queryset=Dataset.objects.none(),
        required=False,
        empty_label="Select a dataset",
    )
    project = ProjectField(help_text=PROJECT_HELP)
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
    trainer = forms.ChoiceField(
        required=False,
        label="What to train",
        widget=forms.RadioSelect,  # the cards of `offers`
        error_messages={"invalid_choice": "This is not offered any more. Select another one."},
    )
    parameters = ParametersField(required=False, label="Other parameters")
    connection = ConnectionField(
        queryset=Connection.objects.none(),
        required=False,
        empty_label=None,
        widget=forms.RadioSelect,
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
        field.queryset = access.usable(user).select_related("project").defer("verdict").order_by("-pk")
        for code in ("invalid_choice", "invalid"):  # the latter if it is deleted while the form is checked
            field.error_messages[code] = "This dataset was rejected or deleted. Select another one."
        cast("ProjectField", self.fields["project"]).offer_to(user)
        self.connections = Connection.objects.in_use()
        cast("ConnectionField", self.fields["connection"]).queryset = self.connections
        self.initial.setdefault("connection", connections.default())
        self.initial.setdefault("form_key", uuid.uuid4())
        self.left, self.may_publish = limits.remaining(user), limits.may_publish(user)
        if not self.has_paid_connection:
            self.fields["steps"].help_text = STEPS_HELP.format("")
        self.add_parameter_fields(self.connections, count=choices.MAX_SWEEP)

    @property
    def has_projects(self) -> bool:
        """Whether the person works on a project."""
        return bool(cast("ProjectField", self.fields["project"]).queryset)

    def suggest_prompt(self) -> None:
        """Begin with the caption that all pairs of the selected dataset have, if there is one."""
        caption = self.chosen_dataset.shared_caption if self.chosen_dataset else ""
        if len(caption) <= PROMPT_LENGTH:
            self.initial.setdefault("instance_prompt", caption)

    def clean_form_key(self) -> uuid.UUID:
        """Return the key of a form sent before unchanged, but never that of another person's form."""
        key = self.cleaned_data["form_key"]
        is_foreign = key and services.is_of_others(self.user, key)
        return uuid.uuid4() if is_foreign or not key else uuid.UUID(str(key))

    def clean_wants_public(self) -> bool:
        if not self.has_visibility:
            return False
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
        self._check_inputs(None if file else dataset, cleaned)
        self._check_project(None if file else dataset, cleaned)
        cleaned["parameters"] = self.read_parameters()
        self.check_numbers()
        self._check_number_of_jobs(cleaned)
        used = None if file else dataset
        if not cleaned.get("instance_prompt") and not (used and used.has_all_captions):
            self.add_error("instance_prompt", f"Enter a prompt{_why_needed(used)}.")
        return cleaned

    def _check_number_of_jobs(self, cleaned: dict[str, Any]) -> None:
        fields = {name: cleaned.get(name) or [] for name in ("learning_rate", "steps")}
        fields |= {field_name(name): values for name, values in cleaned["parameters"].items()}
        several = {name: len(values) for name, values in fields.items() if len(values) > 1}
        count, most = prod(several.values()), choices.MAX_SWEEP_JOBS
        if count > most:
            sentence = f"These values make {count:,} jobs. A sweep has at most {most}: enter fewer values."
            self.add_error(list(several)[-1], sentence)

    def _check_file(self, file: UploadedFile) -> None:
        upload = UploadForm({"filename": file.name, "size": file.size}, is_stored=True)
        if not upload.is_valid():
            self.add_error("file", upload.sentence)

    def _check_url(self, url: str) -> None:
        form = UrlForm({"source_url": url})
        if not form.is_valid():
            self.add_error("source_url", form.sentence)

    def _check_chosen(self, dataset: Dataset, connection: Connection | None) -> None:
        is_settled = dataset.state == Dataset.State.READY and not dataset.has_file
        if connection and is_settled and not dataset.s3_url_for(connection):
            self.add_error("dataset", f"Neither “{connection}” nor the portal has this file any more.")

    def _check_inputs(self, dataset: Dataset | None, cleaned: dict[str, Any]) -> None:
        connection, trainer = cleaned.get("connection"), cleaned.get("trainer")
        if connection is None or trainer is None:
            return
        sentence = inputs.refusal(dataset, connection, trainer)
        if sentence and not self._is_sent_again():
            self.add_error("dataset", sentence)

    def _check_project(self, dataset: Dataset | None, cleaned: dict[str, Any]) -> None:
        """A job with a private project's dataset is in that project, also where none was selected."""
        if "project" in self.errors or self._is_sent_again():
            return
        cleaned["project"] = placement.project_of(dataset, cleaned.get("project"))
        if sentence := placement.refusal(dataset, cleaned["project"]):
            self.add_error("project", sentence)

    @property
    def is_free(self) -> bool:
        """Whether the chosen connection is the local engine."""
        return bool(getattr(self.cleaned_data.get("connection"), "is_free", False))

    @property
    def job_parameters(self) -> list[dict[str, Any]]:
        """The parameters of each job: every combination of the values."""
        names = ("name", "instance_prompt", "machine_type", "wants_public", "connection", "trainer")
        same = {name: self.cleaned_data[name] for name in names}
        rates, steps, further = (self.cleaned_data[name] for name in ("learning_rate", "steps", "parameters"))
        return [{**same, **each} for each in sweeps.combinations(rates, steps, further)]


class LimitsForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    per_person_day = WholeNumberField(
        label="Jobs per person and day",
        help_text="No limit if empty. Jobs of the local engine are free and do not count.",
        required=False,
        min_value=0,
        max_value=MAX_LIMIT,
    )
    per_team_month = WholeNumberField(
        label="Jobs of the team per month",
        help_text="No limit if empty. Days and months are in UTC.",
        required=False,
        min_value=0,
        max_value=MAX_LIMIT,
    )

    class Meta:
        model = Limits
        fields = limits.NAMES
        labels = {"only_admins_publish": "Only admins make models public"}


class PresetForm(ParametersMixin, InlineForm):
    """Sent with the job form, whose `name` is the job's, hence `preset_name`."""

    preset_name = NameField(max_length=40, error_messages={"required": "Enter a name for the preset."})
    learning_rate = _rate_field(count=1, single="A preset has a single learning rate.")
    steps = _steps_field(count=1, single="A preset has a single number of steps.")
    project = ProjectField()
    trainer = forms.ChoiceField(required=False)
    parameters = ParametersField(required=False)

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.user = user
        cast("ProjectField", self.fields["project"]).offer_to(user)
        if self.is_bound:
            self.add_parameter_fields(Connection.objects.in_use(), count=1)

    def clean_learning_rate(self) -> float:
        return float(self.cleaned_data["learning_rate"][0])

    def clean_steps(self) -> int:
        return int(self.cleaned_data["steps"][0])

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "project" in cleaned and "preset_name" in cleaned:
            same = job_access.presets(self.user).filter(
                name=cleaned["preset_name"], project=cleaned["project"]
            )
            if same.exists():
                self.add_error("preset_name", NAME_TAKEN)
        cleaned["parameters"] = {name: values[0] for name, values in self.read_parameters().items()}
        return cleaned

    @property
    def preset(self) -> dict[str, Any]:
        """The fields of the preset beside its name."""
        return {name: self.cleaned_data[name] for name in ("project", "learning_rate", "steps", "parameters")}
