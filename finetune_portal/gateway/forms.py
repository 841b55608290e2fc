"""The form of a personal token, and the training form under the field names of the API."""

from __future__ import annotations

import json
import uuid
from typing import Any

from django import forms

from finetune_portal.accounts.models import User
from finetune_portal.connections import parameters
from finetune_portal.datasets.models import Dataset
from finetune_portal.gateway.api_call import ApiError, text
from finetune_portal.gateway.models import Right
from finetune_portal.gateway.offers import Offer, is_in_vendors_words
from finetune_portal.jobs.choices import Machine
from finetune_portal.jobs.forms import JobForm
from finetune_portal.projects import access as projects
from finetune_portal.web.names import NameField, clean_name

DAYS = {"30": "30 days", "90": "90 days", "365": "a year", "": "never"}
RIGHTS = (
    (Right.TRAIN, "Upload datasets and start jobs, which cost money"),
    (Right.PUBLISH, "Make models public or private"),
    (Right.DOWNLOAD, "Download models"),
    (Right.RUN, "Run models, which may cost money"),
)
API_NAMES = {
    "wants_public": "segmind_public",
    "parameters": "advance_parameters",
    "dataset": "data_source_path",
    "source_url": "data_source_path",
}


class TokenForm(forms.Form):
    """A viewer's token only reads, so a viewer has no rights to choose."""

    name = NameField(
        max_length=60,
        error_messages={"required": "Enter a name, so that you know later what uses the token."},
        widget=forms.TextInput(attrs={"placeholder": "nightly jobs", "autocomplete": "off"}),
    )
    rights = forms.MultipleChoiceField(
        choices=RIGHTS, required=False, label="Besides reading, it can", widget=forms.CheckboxSelectMultiple
    )
    days = forms.TypedChoiceField(
        choices=list(DAYS.items()),
        required=False,
        initial="90",
        label="Expires after",
        coerce=int,
        empty_value=None,
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not user.can_train:
            del self.fields["rights"]


def training_form(
    fields: dict[str, Any], *, offer: Offer, user: User, key: uuid.UUID, dataset: Dataset | None, public: bool
) -> JobForm:
    """The same rules and messages as on the page. Only Segmind's page has GPUs to name."""
    numbers = _advance_parameters(fields)
    further = {name: value for name, value in numbers.items() if name not in parameters.ELSEWHERE}
    data = {
        "form_key": str(key),
        "name": fields.get("name"),
        "instance_prompt": fields.get("instance_prompt"),
        "machine_type": fields.get("machine_type") or ("" if is_in_vendors_words(fields) else Machine.H100),
        "connection": offer.connection.pk,
        "trainer": offer.trainer.id,
        "learning_rate": plain_number(numbers.get("learning_rate")),
        "steps": plain_number(numbers.get("steps")),
        "parameters": json.dumps(further) if further else "",
        "wants_public": public,
        "dataset": dataset.pk if dataset else "",
        "project": _project(fields, user),
        "source_url": "" if dataset else fields.get("data_source_path"),
    }
    return JobForm(data, user=user)


def _project(fields: dict[str, Any], user: User) -> int | None:
    """The key of the project that a call names; None for none. Raises ApiError."""
    name = clean_name(text(fields, "project")) if fields.get("project") else ""
    if not name:
        return None
    project = projects.joined(user).filter(folded_name=name.casefold()).first()
    if project is None:
        raise ApiError(422, "project: you are a member of no project of this name.")
    return int(project.pk)


def errors_of(form: JobForm) -> str:
    """The errors of the form, each after the API's name for its field."""
    errors_by_name = (
        (API_NAMES.get(name, name), " ".join(map(str, errors))) for name, errors in form.errors.items()
    )
    return " ".join(f"{name}: {sentence}" for name, sentence in errors_by_name)


def _advance_parameters(fields: dict[str, Any]) -> dict[str, Any]:
    """An object, or the JSON text of one, as a form cannot hold an object."""
    value = fields.get("advance_parameters") or {}
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, dict):
        raise ApiError(422, "advance_parameters must be an object.")
    return value


def plain_number(value: Any) -> str:
    """A number as a person types it, as JSON may hold 300.0."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e9:
        value = int(value)
    return "" if value is None else str(value)
