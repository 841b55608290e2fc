"""The edit trainers of fal that this version knows: fields, bounds, prices, and the models that run a LoRA.

docs/provider-fal.md, 9.2 has the table with its sources, 8.2 the factors, 10 the models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from finetune_portal.providers.contract import JobRequest, Trainer
from finetune_portal.providers.errors import RequestRejectedError
from finetune_portal.providers.parameter import Parameter, ParameterError

# By input images a pair. Nobody publishes those of five to nine.
FACTORS = {count: Decimal(text) for count, text in ((1, "2.11"), (2, "3.44"), (3, "5.09"), (4, "6.95"))}
FACTORS_TO_10 = {**FACTORS, 10: Decimal("23.44")}
DATASET_FIELD = "image_data_url"
# The names that fal's trainers have for it: a trainer of which no page shows the name is asked for them.
DATASET_FIELDS = (DATASET_FIELD, "images_data_url")
STEPS_HELP = "Steps of the training."
RATE_HELP = "The learning rate. fal publishes a default and no bounds."
FORMAT = Parameter(
    "output_lora_format",
    "choice",
    "The names of the weights: fal for running the model there, comfy for ComfyUI.",
    choices=("fal", "comfy"),
    default="fal",
)
FLUX_1_LICENCE = "FLUX.1 [dev] Non-Commercial License"
FLUX_2_LICENCE = "FLUX.2 [dev] Non-Commercial License"
FLUX_LICENCE = "FLUX Non-Commercial License"
KOMMUNITY_LICENCE = "FLUX Kommunity License, non-commercial"
APACHE = "Apache 2.0"
LEAST_STEPS = 4


@dataclass(frozen=True)
class PriceRule:
    """Dollars a step by fal's page, the least steps that are charged, and the factors by input images."""

    a_step: Decimal
    least_steps: int = 0
    factors: Mapping[int, Decimal] = field(default_factory=dict)


@dataclass(frozen=True)
class FalTrainer:
    """A trainer with what only fal's wire needs. `dataset_field` is empty where no page shows its name.

    `image_field`: where the model that runs its LoRA takes input images, `most_images` at most.
    """

    trainer: Trainer
    price: PriceRule
    dataset_field: str = DATASET_FIELD
    caption_field: str = "default_caption"
    image_field: str = "image_urls"
    most_images: int = 1

    def body(self, request: JobRequest, dataset_field: str) -> dict[str, Any]:
        """The input of the trainer. Raises RequestRejectedError for what fal would find wrong only later."""
        try:
            read = self.trainer.read(request)
        except ParameterError as exc:
            raise RequestRejectedError(str(exc)) from None
        caption = {self.caption_field: request.prompt} if request.prompt else {}
        return {dataset_field: request.dataset, **caption, **read}


def _steps(least: int, most: int, step: int = 0) -> Parameter:
    return Parameter("steps", "whole", STEPS_HELP, least, most, default=1000, step=step)


def _rate(default: float) -> Parameter:
    return Parameter("learning_rate", "number", RATE_HELP, 1e-8, 1, default=default)


def _generates(least_steps: int = LEAST_STEPS) -> tuple[Parameter, ...]:
    """The bounds of the model that runs the LoRA (docs/provider-fal.md, 10)."""
    return (
        Parameter("strength", "number", "How much of the LoRA is used.", 0, 4),
        Parameter("steps", "whole", "Steps of the generation.", least_steps, 50),
        Parameter("guidance", "number", "How closely the picture follows the prompt.", 0, 20),
    )


def _kontext() -> FalTrainer:
    trainer = Trainer(
        id="fal-ai/flux-kontext-trainer",
        title="FLUX.1 Kontext edit",
        base_model="FLUX.1 Kontext [dev]",
        licence=FLUX_1_LICENCE,
        parameters=(_steps(2, 20_000), _rate(1e-4), FORMAT),
        model="fal-ai/flux-kontext-lora",
        generates=_generates(least_steps=10),
    )
    return FalTrainer(trainer, PriceRule(Decimal("0.0025"), 500), image_field="image_url")


def _flux_2(
    name: str, title: str, base: str, licence: str, price: str, model: str, images: int
) -> FalTrainer:
    trainer = Trainer(
        id=f"fal-ai/{name}/edit",
        title=title,
        base_model=base,
        licence=licence,
        parameters=(_steps(100, 10_000, 100), _rate(5e-5), FORMAT),
        most_inputs=4,
        model=f"fal-ai/flux-2/{model}",
        generates=_generates(),
    )
    return FalTrainer(trainer, PriceRule(Decimal(price), 0, FACTORS), most_images=images)


def _qwen(name: str, title: str, model: str, image_field: str = "image_urls") -> FalTrainer:
    """One input a pair: more need a field that fal's schema lacks (docs/provider-fal.md, 9.2)."""
    trainer = Trainer(
        id=f"fal-ai/qwen-image-{name}-trainer",
        title=f"{title} edit",
        base_model=title,
        licence=APACHE,
        parameters=(_steps(100, 30_000), _rate(1e-4)),
        model=f"fal-ai/qwen-image-{model}",
        generates=_generates(),
    )
    return FalTrainer(trainer, PriceRule(Decimal("0.004"), 100), image_field=image_field)


def _flux_3() -> FalTrainer:
    """Unverified: no page that we have shows the field of the ZIP, nor the model that runs the LoRA."""
    resolution = Parameter(
        "resolution",
        "whole",
        "The side of a square as large as the images.",
        512,
        1024,
        default=1024,
        step=256,
    )
    trainer = Trainer(
        id="blackforestlabs/flux-3/klein/base/trainer/edit",
        title="FLUX 3 klein edit",
        base_model="FLUX 3 klein base",
        licence=KOMMUNITY_LICENCE,
        parameters=(_steps(100, 10_000), _rate(1e-4), resolution),
        most_inputs=10,
    )
    price = PriceRule(Decimal("0.002"), 100, FACTORS_TO_10)
    return FalTrainer(trainer, price, dataset_field="", caption_field="trigger_phrase")


KLEIN_4B, KLEIN_9B = "FLUX.2 klein 4B", "FLUX.2 klein 9B"
TABLE: dict[str, FalTrainer] = {
    each.trainer.id: each
    for each in (
        _flux_2(
            "flux-2-klein-4b-base-trainer",
            f"{KLEIN_4B} edit",
            f"{KLEIN_4B} base",
            APACHE,
            "0.0046",
            "klein/4b/base/edit/lora",
            4,
        ),
        _flux_2(
            "flux-2-klein-9b-base-trainer",
            f"{KLEIN_9B} edit",
            f"{KLEIN_9B} base",
            FLUX_LICENCE,
            "0.002",
            "klein/9b/base/edit/lora",
            4,
        ),
        _flux_2(
            "flux-2-trainer", "FLUX.2 [dev] edit", "FLUX.2 [dev]", FLUX_2_LICENCE, "0.0056", "lora/edit", 3
        ),
        _flux_2(
            "flux-2-trainer-v2",
            "FLUX.2 [dev] edit, second version",
            "FLUX.2 [dev]",
            FLUX_2_LICENCE,
            "0.0226",
            "lora/edit",
            3,
        ),
        _qwen("edit-2511", "Qwen-Image-Edit-2511", "edit-2511/lora"),
        _qwen("edit-2509", "Qwen-Image-Edit-2509", "edit-2509-lora"),
        _qwen("edit-plus", "Qwen-Image-Edit Plus", "edit-plus-lora"),
        _qwen("edit", "Qwen-Image-Edit", "edit-lora", "image_url"),
        _kontext(),
        _flux_3(),
    )
}


def known(endpoint: str) -> FalTrainer:
    """The trainer of this endpoint. Raises RequestRejectedError for one that this version does not know."""
    if trainer := TABLE.get(endpoint):
        return trainer
    raise RequestRejectedError("This version of the portal does not know this trainer, so nothing was sent.")
