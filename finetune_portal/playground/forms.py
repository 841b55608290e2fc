"""The form of a generation: a picture, a prompt, the numbers. Each error is a sentence at its field."""

from __future__ import annotations

import random
import uuid
from typing import Any

from django import forms

from finetune_portal.accounts.models import User
from finetune_portal.jobs.models import Job
from finetune_portal.playground import choices, inputs
from finetune_portal.playground.bounds import bounds_of
from finetune_portal.playground.input_choices import Choice, chosen
from finetune_portal.playground.models import Input
from finetune_portal.web.number_fields import NumberField, WholeNumberField

OWN_NUMBER = "Leave it empty for the model’s own number."
NO_PICTURE = "Choose a picture, or upload your own."


class GenerationForm(forms.Form):
    """Of the models of `jobs`. Those of other providers than Segmind have steps and guidance of their own.

    So have other base models of an engine a guidance. What none of the models takes has no field.
    """

    form_key = forms.UUIDField(widget=forms.HiddenInput)
    picture = forms.CharField(required=False, max_length=40)
    file = forms.FileField(
        required=False,
        label="Your own picture",
        widget=forms.FileInput(attrs={"accept": "image/jpeg,image/png,image/webp"}),
    )
    prompt = forms.CharField(
        label="Prompt",
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 2, "dir": "auto"}),
        error_messages={"required": "Say how to change the picture."},
    )
    strength = NumberField(
        label="Strength of the LoRA",
        min_value=choices.LEAST_STRENGTH,
        max_value=choices.MOST_STRENGTH,
        initial=choices.STRENGTH,
        help_text="1 is as trained, 0 is the base model alone.",
        error_messages={"invalid": "Enter a number, such as 0.8."},
    )
    seed = WholeNumberField(
        required=False,
        min_value=0,
        max_value=choices.MOST_SEED,
        help_text="The same seed makes the same picture again. Leave it empty for a random one.",
        widget=forms.TextInput(attrs={"placeholder": "random"}),
    )
    steps = WholeNumberField(label="Steps", min_value=1, max_value=choices.MOST_STEPS, initial=choices.STEPS)
    guidance = NumberField(
        min_value=0,
        max_value=choices.MOST_GUIDANCE,
        initial=choices.GUIDANCE,
        help_text="How closely the picture follows the prompt.",
        error_messages={"invalid": "Enter a number, such as 2.5."},
    )

    def __init__(self, *args: Any, offered: list[Choice], jobs: list[Job], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offered, self.jobs = offered, jobs
        self.initial.setdefault("form_key", uuid.uuid4())
        self.bounds = bounds_of(jobs)
        for name, (least, most) in self.bounds.items():
            field: Any = self.fields[name]
            field.min_value, field.max_value = max(least, field.min_value), min(most, field.max_value)
            bounds = f"From {field.min_value:g} to {field.max_value:g}."
            field.help_text = f"{field.help_text} {bounds}".strip()
        for name in ("steps", "guidance"):
            if name not in self.bounds:
                del self.fields[name]
            elif any(job.trainer if name == "guidance" else not job.is_at_segmind for job in jobs):
                self._leave_to_the_model(self.fields[name])

    @staticmethod
    def _leave_to_the_model(field: forms.Field) -> None:
        field.required, field.initial = False, None
        field.widget.is_required = False
        field.help_text = f"{field.help_text} {OWN_NUMBER}".strip()

    def clean_seed(self) -> int:
        seed = self.cleaned_data["seed"]
        return random.randrange(choices.MOST_SEED) if seed is None else int(seed)  # nosec B311  # no secret

    def clean(self) -> dict[str, Any]:
        """Look whether there is a picture; it is decoded by `make_input`, when all else is well."""
        cleaned = super().clean() or self.cleaned_data
        for name, (least, most) in self.bounds.items():
            value = cleaned.get(name)
            if value is not None and not least <= value <= most:
                self.add_error(name, f"Enter a number from {least:g} to {most:g}.")
        if "file" not in self.errors:
            self._check_picture(cleaned)
        return cleaned

    def _check_picture(self, cleaned: dict[str, Any]) -> None:
        if file := cleaned.get("file"):
            if file.size > inputs.MAX_BYTES:
                self.add_error("file", inputs.TOO_LARGE)
        elif chosen(self.offered, str(cleaned.get("picture", ""))) is None:
            self.add_error("file", NO_PICTURE)

    def make_input(self, actor: User) -> Input | None:
        """The picture of a valid form; None, with an error at its field, if it cannot be used.

        Raises BusyError.
        """
        try:
            if file := self.cleaned_data.get("file"):
                return inputs.from_file(file.read(), file.name, actor=actor, job=self.jobs[0])
            choice = chosen(self.offered, self.cleaned_data["picture"])
            return choice.as_input(actor, self.jobs[0]) if choice else None
        except inputs.InvalidPictureError as exc:
            self.add_error("file", str(exc))
            return None

    @property
    def settings(self) -> dict[str, Any]:
        names = ("prompt", "strength", "seed", "steps", "guidance")
        return {name: self.cleaned_data.get(name) for name in names}
