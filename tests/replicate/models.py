"""The models that the fake runs, with inputs and prices (docs/provider-replicate.md, 9 and 10)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class Field:
    """A number with bounds, a text, or a list of texts, by the type of the default. None may stay away."""

    default: Any = None
    least: float | None = None
    most: float | None = None
    kind: type = str
    is_required: bool = False

    def error(self, value: Any) -> str:
        """What is wrong with a value; empty if nothing is."""
        number = int if self.kind is int else int | float
        is_number = isinstance(value, number) and not isinstance(value, bool)
        if self.kind in (int, float) and not is_number:
            return "Invalid type. Expected: number"
        if self.kind not in (int, float) and not isinstance(value, self.kind):
            return f"Invalid type. Expected: {self.kind.__name__}"
        if self.least is not None and value < self.least:
            return f"Must be greater than or equal to {self.least}"
        if self.most is not None and value > self.most:
            return f"Must be less than or equal to {self.most}"
        return ""


@dataclass(frozen=True)
class Model:
    """A model. `dataset`, `steps` and `caption` are the names of its fields, of a trainer alone."""

    price: Decimal  # dollars a step, or a picture
    fields: Mapping[str, Field]
    dataset: str = ""
    steps: str = "steps"
    caption: str = ""
    images: str = ""
    is_training: bool = False

    @property
    def is_trainer(self) -> bool:
        return bool(self.dataset)


URI = Field(is_required=True)
MODELS = {
    "prunaai/p-image-edit-trainer": Model(
        Decimal("0.004"),
        {
            "image_data": URI,
            "steps": Field(1000, 100, 5000, int),
            "learning_rate": Field(1e-4, 1e-5, 1e-2, float),
            "default_caption": Field(),
        },
        dataset="image_data",
        caption="default_caption",
    ),
    "replicate/fast-flux-kontext-trainer": Model(
        Decimal("0.00061"),
        {
            "input_images": URI,
            "training_steps": Field(1000, 100, 20_000, int),
            "kontext_prompt_instruction": Field(),
        },
        dataset="input_images",
        steps="training_steps",
        caption="kontext_prompt_instruction",
        is_training=True,
    ),
    "prunaai/p-image-edit-lora": Model(
        Decimal("0.01"),
        {
            "prompt": URI,
            "images": Field(kind=list, is_required=True),
            "lora_weights": URI,
            "lora_scale": Field(1, -1, 3, float),
            "seed": Field(kind=int),
        },
        images="images",
    ),
    "black-forest-labs/flux-kontext-dev-lora": Model(
        Decimal("0.03"),
        {
            "prompt": URI,
            "input_image": URI,
            "lora_weights": URI,
            "lora_strength": Field(1, kind=float),
            "seed": Field(kind=int),
            "num_inference_steps": Field(30, 4, 50, int),
            "guidance": Field(2.5, 0, 10, float),
            "output_format": Field("webp"),
        },
        images="input_image",
    ),
}


def version_of(name: str) -> str:
    """The id of its newest version."""
    return hashlib.sha256(name.encode()).hexdigest()


def model_of(version: str) -> str:
    """The name of the model that has this version, with or without its name before it; empty if none has."""
    return next((name for name in MODELS if version_of(name) == version.rpartition(":")[2]), "")


def input_errors(model: Model, payload: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The fields that are wrong, with what is wrong."""
    unknown = [(name, "Additional property is not allowed") for name in payload if name not in model.fields]
    missing = [
        (name, "Field is required")
        for name, field in model.fields.items()
        if field.is_required and not payload.get(name)
    ]
    wrong = [
        (name, error)
        for name, field in model.fields.items()
        if payload.get(name) is not None and (error := field.error(payload[name]))
    ]
    return unknown + missing + wrong
