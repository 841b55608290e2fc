"""The form of a run: a picture, an instruction, the numbers. Every refusal is a sentence at its field."""

from __future__ import annotations

import random
import uuid
from typing import Any

from django import forms

from finetune_portal.playground import choices, inputs
from finetune_portal.playground.input_choices import Choice, chosen
from finetune_portal.playground.models import Input

NO_PICTURE = "Choose a picture, or bring your own."


class GenerationForm(forms.Form):
    form_key = forms.UUIDField(widget=forms.HiddenInput)
    picture = forms.CharField(required=False, max_length=40)
    file = forms.FileField(
        required=False,
        label="Your own picture",
        widget=forms.FileInput(attrs={"accept": "image/jpeg,image/png,image/webp"}),
    )
    prompt = forms.CharField(
        label="Instruction",
        max_length=1000,
        widget=forms.Textarea(attrs={"rows": 2}),
        error_messages={"required": "Say what to do with the picture."},
    )
    strength = forms.FloatField(
        label="Strength of the LoRA",
        min_value=choices.LEAST_STRENGTH,
        max_value=choices.MOST_STRENGTH,
        initial=choices.STRENGTH,
        help_text="1 is as it was trained, 0 is the model without it.",
        widget=forms.NumberInput(attrs={"step": "0.05"}),
    )
    seed = forms.IntegerField(
        required=False,
        min_value=0,
        max_value=choices.MOST_SEED,
        help_text="The same seed gives the same picture again. Empty draws one.",
        widget=forms.NumberInput(attrs={"placeholder": "drawn", "autocomplete": "off"}),
    )
    steps = forms.IntegerField(
        label="Steps of the picture", min_value=1, max_value=choices.MOST_STEPS, initial=choices.STEPS
    )
    guidance = forms.FloatField(
        min_value=0,
        max_value=choices.MOST_GUIDANCE,
        initial=choices.GUIDANCE,
        help_text="How closely the picture keeps to the instruction.",
        widget=forms.NumberInput(attrs={"step": "0.1"}),
    )

    def __init__(self, *args: Any, offered: list[Choice], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offered = offered
        self.initial.setdefault("form_key", uuid.uuid4())
        self.input_image: Input | None = None
        for name in self.errors if self.is_bound else ():
            if name in self.fields:
                marks = {"aria-invalid": "true", "aria-describedby": f"id_{name}_error"}
                self.fields[name].widget.attrs.update(marks)

    def clean_seed(self) -> int:
        seed = self.cleaned_data["seed"]
        return random.randrange(choices.MOST_SEED) if seed is None else int(seed)  # nosec B311  # no secret

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if "file" in self.errors:
            return cleaned
        try:
            self.input_image = self._input(cleaned)
        except inputs.BadPicture as exc:
            self.add_error("file", str(exc))
        else:
            if self.input_image is None:
                self.add_error("file", NO_PICTURE)
        return cleaned

    def _input(self, cleaned: dict[str, Any]) -> Input | None:
        if file := cleaned.get("file"):
            if file.size > inputs.MAX_BYTES:
                raise inputs.BadPicture(inputs.TOO_HEAVY)
            return inputs.of_file(file.read(), file.name)
        found = chosen(self.offered, str(cleaned.get("picture", "")))
        return found.as_input() if found else None

    @property
    def settings(self) -> dict[str, Any]:
        return {name: self.cleaned_data[name] for name in ("prompt", "strength", "seed", "steps", "guidance")}
