"""The endpoints that the fake runs, with fields, bounds, prices and outputs, as fal's pages have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

# By input images a pair, for the trainers of the FLUX.2 and FLUX.3 families.
MULTIPLIERS = {
    1: Decimal("2.11"),
    2: Decimal("3.44"),
    3: Decimal("5.09"),
    4: Decimal("6.95"),
    10: Decimal("23.44"),
}


@dataclass(frozen=True)
class Field:
    """A number with bounds, one of some values, or free text. None as default may stay away or be null."""

    default: Any = None
    least: float | None = None
    most: float | None = None
    multiple_of: int | None = None
    choices: tuple[Any, ...] = ()

    @property
    def schema(self) -> dict[str, Any]:
        kind = {int: "integer", float: "number"}.get(type(self.default), "string")
        bounds = {
            "minimum": self.least,
            "maximum": self.most,
            "multipleOf": self.multiple_of,
            "enum": list(self.choices) or None,
            "default": self.default,
        }
        return {"type": kind} | {name: value for name, value in bounds.items() if value is not None}

    def error(self, value: Any) -> dict[str, Any] | None:
        """Why the model refuses this value: type, message and context of pydantic."""
        if isinstance(self.default, int | float):
            return self._number_error(value)
        if self.choices and value not in self.choices:
            return {"type": "literal_error", "msg": f"Input should be one of {self.choices}"}
        if value is not None and not isinstance(value, str):
            return {"type": "string_type", "msg": "Input should be a valid string"}
        return None

    def _number_error(self, value: Any) -> dict[str, Any] | None:
        whole = isinstance(self.default, int)
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            name = "int" if whole else "float"
            return {"type": f"{name}_type", "msg": f"Input should be a valid {name}"}
        if self.least is not None and value < self.least:
            msg = f"Input should be greater than or equal to {self.least}"
            return {"type": "greater_than_equal", "msg": msg, "ctx": {"ge": self.least}}
        if self.most is not None and value > self.most:
            msg = f"Input should be less than or equal to {self.most}"
            return {"type": "less_than_equal", "msg": msg, "ctx": {"le": self.most}}
        if self.multiple_of and value % self.multiple_of:
            msg = f"Input should be a multiple of {self.multiple_of}"
            return {"type": "multiple_of", "msg": msg, "ctx": {"multiple_of": self.multiple_of}}
        if self.choices and value not in self.choices:
            return {"type": "literal_error", "msg": f"Input should be one of {self.choices}"}
        return None


@dataclass(frozen=True)
class Endpoint:
    """A trainer, or with `loras` a model that runs what one trained.

    `address_fields`: where the ZIP's address or the input images may stand; one of them is required.
    """

    title: str
    price: Decimal  # USD a unit, without multiplier and minimum
    unit: str
    fields: Mapping[str, Field]
    address_fields: tuple[str, ...] = ("image_data_url",)
    weights_field: str = "diffusers_lora_file"
    least_units: int = 0
    most_inputs: int = 1
    is_multiplied: bool = False
    runs: tuple[str, ...] = ()  # the trainers whose LoRA it takes
    most_loras: int = 0

    @property
    def is_trainer(self) -> bool:
        return not self.runs


def _training(least: int, most: int, by: int | None, rate: float, **more: Field) -> dict[str, Field]:
    steps = Field(1000, least, most, by)
    return {"steps": steps, "learning_rate": Field(rate, 0), "default_caption": Field(), **more}


FORMAT = Field("fal", choices=("fal", "comfy"))
FLUX_2 = _training(100, 10000, 100, 5e-5, output_lora_format=FORMAT)
QWEN = _training(100, 30000, None, 1e-4)


def _flux_2(title: str, price: str) -> Endpoint:
    return Endpoint(title, Decimal(price), "units", FLUX_2, most_inputs=4, is_multiplied=True)


def _qwen(title: str, most_inputs: int = 3) -> Endpoint:
    return Endpoint(title, Decimal("0.004"), "steps", QWEN, least_units=100, most_inputs=most_inputs)


def _model(
    title: str, price: str, images: str, steps: Field, guidance: Field, *runs: str, loras: int = 3
) -> Endpoint:
    fields = {"num_inference_steps": steps, "guidance_scale": guidance, "num_images": Field(1, 1, 4)}
    return Endpoint(title, Decimal(price), "megapixels", fields, (images,), "", runs=runs, most_loras=loras)


STEPS, GUIDANCE = Field(28, 4, 50), Field(5.0, 0, 20)
ENDPOINTS: dict[str, Endpoint] = {
    "fal-ai/flux-kontext-trainer": Endpoint(
        "FLUX.1 Kontext Trainer",
        Decimal("0.0025"),
        "steps",
        _training(2, 20000, None, 1e-4, output_lora_format=FORMAT),
        least_units=500,
    ),
    "fal-ai/flux-2-trainer/edit": _flux_2("FLUX.2 Trainer, edit", "0.0056"),
    "fal-ai/flux-2-trainer-v2/edit": _flux_2("FLUX.2 Trainer V2, edit", "0.0226"),
    "fal-ai/flux-2-klein-4b-base-trainer/edit": _flux_2("FLUX.2 klein 4B Trainer, edit", "0.0046"),
    "fal-ai/flux-2-klein-9b-base-trainer/edit": _flux_2("FLUX.2 klein 9B Trainer, edit", "0.002"),
    "fal-ai/qwen-image-edit-trainer": _qwen("Qwen Image Edit Trainer", most_inputs=1),
    "fal-ai/qwen-image-edit-plus-trainer": _qwen("Qwen Image Edit Plus Trainer"),
    "fal-ai/qwen-image-edit-2509-trainer": _qwen("Qwen Image Edit 2509 Trainer"),
    "fal-ai/qwen-image-edit-2511-trainer": _qwen("Qwen Image Edit 2511 Trainer"),
    "blackforestlabs/flux-3/klein/base/trainer/edit": Endpoint(
        "FLUX 3 klein Trainer, edit",
        Decimal("0.002"),
        "units",
        {
            "steps": Field(1000, 100, 10000),
            "learning_rate": Field(1e-4, 0),
            "resolution": Field(1024, choices=(512, 768, 1024)),
            "trigger_phrase": Field(),
        },
        # No page that we have names the field, so either is taken.
        ("image_data_url", "images_data_url"),
        "lora_file",
        least_units=100,
        most_inputs=10,
        is_multiplied=True,
    ),
    "fal-ai/flux-kontext-lora": _model(
        "FLUX.1 Kontext with LoRA",
        "0.035",
        "image_url",
        Field(30, 10, 50),
        Field(2.5, 0, 20),
        "fal-ai/flux-kontext-trainer",
    ),
    "fal-ai/flux-2/lora/edit": _model(
        "FLUX.2 with LoRA",
        "0.021",
        "image_urls",
        STEPS,
        Field(2.5, 0, 20),
        "fal-ai/flux-2-trainer/edit",
        "fal-ai/flux-2-trainer-v2/edit",
    ),
    **{
        f"fal-ai/flux-2/klein/{size}/base/edit/lora": _model(
            f"FLUX.2 klein {size.upper()} base with LoRA",
            price,
            "image_urls",
            STEPS,
            GUIDANCE,
            f"fal-ai/flux-2-klein-{size}-base-trainer/edit",
        )
        for size, price in (("4b", "0.016"), ("9b", "0.02"))
    },
    **{
        f"fal-ai/flux-2/klein/{size}/edit/lora": _model(
            f"FLUX.2 klein {size.upper()} with LoRA",
            price,
            "image_urls",
            Field(4, 4, 8),
            GUIDANCE,
            f"fal-ai/flux-2-klein-{size}-base-trainer/edit",
        )
        for size, price in (("4b", "0.016"), ("9b", "0.02"))
    },
    **{
        f"fal-ai/qwen-image-edit{name}": _model(
            f"Qwen Image Edit{name} with LoRA",
            "0.035",
            images,
            STEPS,
            Field(4.5, 0, 20),
            f"fal-ai/qwen-image-edit{trainer}-trainer",
        )
        for name, images, trainer in (
            ("-lora", "image_url", ""),
            ("-plus-lora", "image_urls", "-plus"),
            ("-2509-lora", "image_urls", "-2509"),
            ("-2511/lora", "image_urls", "-2511"),
        )
    },
}


def runners(trainer: str) -> list[str]:
    """The models that run what this trainer makes."""
    return [name for name, endpoint in ENDPOINTS.items() if trainer in endpoint.runs]


def input_errors(endpoint: Endpoint, payload: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the model finds wrong with its input, as a list of pydantic's."""
    errors = []
    if not any(payload.get(name) for name in endpoint.address_fields):
        errors.append(_error(endpoint.address_fields[0], "missing", "Field required"))
    if not endpoint.is_trainer and not payload.get("prompt"):
        errors.append(_error("prompt", "missing", "Field required"))
    if len(payload.get("loras") or ()) > endpoint.most_loras:
        errors.append(
            _error("loras", "sequence_too_long", f"At most {endpoint.most_loras} items are allowed")
        )
    for name, field in endpoint.fields.items():
        if (value := payload.get(name, field.default)) is None and field.default is None:
            continue
        if error := field.error(value):
            errors.append({"loc": ["body", name], "input": value, **error})
    return errors


def _error(name: str, kind: str, msg: str) -> dict[str, Any]:
    return {"loc": ["body", name], "msg": msg, "type": kind, "input": None}


def billed_units(endpoint: Endpoint, payload: Mapping[str, Any], inputs: int) -> Decimal:
    """What a run is charged for: steps times the factor of the input images; of a model, megapixels."""
    if not endpoint.is_trainer:
        return Decimal(payload.get("num_images") or 1)
    units = Decimal(max(payload.get("steps", endpoint.fields["steps"].default), endpoint.least_units))
    return units * MULTIPLIERS.get(inputs, Decimal(1)) if endpoint.is_multiplied else units
