"""The form of a generation: a picture, a prompt, the numbers. Each error is a sentence at its field."""

from __future__ import annotations

import random
import uuid
from typing import Any

from django import forms

from finetune_portal.jobs.number_fields import WholeNumberField
from finetune_portal.playground import choices, inputs
from finetune_portal.playground.input_choices import Choice, chosen
from finetune_portal.playground.models import Input

NO_PICTURE = "Choose a picture, or upload your own."


class GenerationForm(forms.Form):
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
    strength = forms.FloatField(
        label="Strength of the LoRA",
        min_value=choices.LEAST_STRENGTH,
        max_value=choices.MOST_STRENGTH,
        initial=choices.STRENGTH,
        help_text="1 is as trained, 0 is the base model alone.",
        widget=forms.NumberInput(attrs={"step": "0.05"}),
    )
    seed = WholeNumberField(
        required=False,
        min_value=0,
        max_value=choices.MOST_SEED,
        help_text="The same seed makes the same picture again. Leave it empty for a random one.",
        widget=forms.NumberInput(attrs={"placeholder": "random", "autocomplete": "off"}),
    )
    steps = WholeNumberField(label="Steps", min_value=1, max_value=choices.MOST_STEPS, initial=choices.STEPS)
    guidance = forms.FloatField(
        min_value=0,
        max_value=choices.MOST_GUIDANCE,
        initial=choices.GUIDANCE,
        help_text="How closely the picture follows the prompt.",
        widget=forms.NumberInput(attrs={"step": "0.1"}),
    )

    def __init__(self, *args: Any, offered: list[Choice], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offered = offered
        self.initial.setdefault("form_key", uuid.uuid4())
        self.input_image: Input | None = None

    def clean_seed(self) -> int:
        seed = self.cleaned_data["seed"]
        return random.randrange(choices.MOST_SEED) if seed is None else int(seed)  # nosec B311  # no secret

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "file" in self.errors:
            return cleaned
        try:
            self.input_image = self._input(cleaned)
        except inputs.InvalidPictureError as exc:
            self.add_error("file", str(exc))
        else:
            if self.input_image is None:
                self.add_error("file", NO_PICTURE)
        return cleaned

    def _input(self, cleaned: dict[str, Any]) -> Input | None:
        if file := cleaned.get("file"):
            if file.size > inputs.MAX_BYTES:
                raise inputs.InvalidPictureError(inputs.TOO_LARGE)
            return inputs.from_file(file.read(), file.name)
        choice = chosen(self.offered, str(cleaned.get("picture", "")))
        return choice.as_input() if choice else None

    @property
    def settings(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in ("prompt", "strength", "seed", "steps", "guidance")}
