"""The edit trainers of Replicate that this version knows, and the models that run a LoRA.

docs/provider-replicate.md, 9.2 has the table with its sources, 10 the models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any

from finetune_portal.providers.contract import Availability, JobRequest, Report, Trainer
from finetune_portal.providers.errors import RequestRejectedError
from finetune_portal.providers.parameter import Parameter, ParameterError

STRENGTH_HELP = "How much of the LoRA is used."
REPORT = Report(
    availability=Availability.CLOSED,
    said_on=date(2026, 8, 1),
    text="Replicate’s FLUX.1 Kontext trainer answers each request with the status 500, in all its versions.",
    source="a public project on GitHub, August 2026",
)
STEPS_HELP = "Steps of the training."
OWN_RATE = "This trainer has a learning rate of its own: what is typed is not sent."


@dataclass(frozen=True)
class Runner:
    """A model that runs a LoRA. `optional` has the names of its fields by ours, where it has them."""

    model: str
    image_field: str
    strength_field: str
    most_images: int = 1
    optional: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ReplicateTrainer:
    """A trainer with what only Replicate's wire needs: a training, or a prediction of a model that trains.

    `a_step`: about how many dollars a step costs; None where nobody knows. `fields`: other names of
    parameters on the wire, empty for one that is not sent.
    """

    trainer: Trainer
    is_training: bool
    dataset_field: str
    caption_field: str
    runner: Runner
    a_step: Decimal | None = None
    fields: Mapping[str, str] = field(default_factory=dict)

    def body(self, request: JobRequest) -> dict[str, Any]:
        """The input of the trainer. Raises RequestRejectedError for what it does not take."""
        try:
            values = self.trainer.read(request)
        except ParameterError as exc:
            raise RequestRejectedError(str(exc)) from None
        caption = {self.caption_field: request.prompt} if request.prompt else {}
        named = {self.fields.get(name, name): value for name, value in values.items()}
        named.pop("", None)
        return {self.dataset_field: request.dataset, **caption, **named}


PRUNA = ReplicateTrainer(
    Trainer(
        id="prunaai/p-image-edit-trainer",
        title="P-Image edit (its LoRAs run at Replicate alone)",
        base_model="P-Image-Edit",
        licence="Closed model of Pruna AI",
        parameters=(
            Parameter(
                "steps",
                "whole",
                f"{STEPS_HELP} Replicate ends a run after 30 minutes; 1,000 steps take from 5 to 15.",
                100,
                5000,
                default=1000,
            ),
            Parameter("learning_rate", "number", "The learning rate.", 1e-5, 1e-2, default=1e-4),
        ),
        model="prunaai/p-image-edit-lora",
        generates=(Parameter("strength", "number", STRENGTH_HELP, -1, 3),),
    ),
    is_training=False,
    dataset_field="image_data",
    caption_field="default_caption",
    runner=Runner(
        "prunaai/p-image-edit-lora",
        "images",
        "lora_scale",
        most_images=5,
        optional={"seed": "seed"},
    ),
    a_step=Decimal("0.004"),
)
KONTEXT = ReplicateTrainer(
    Trainer(
        id="replicate/fast-flux-kontext-trainer",
        title="FLUX.1 Kontext edit (reported to fail with status 500)",
        base_model="FLUX.1 Kontext [dev]",
        licence="FLUX.1 [dev] Non-Commercial License",
        parameters=(
            Parameter("steps", "whole", STEPS_HELP, 100, 20_000, default=1000),
            Parameter("learning_rate", "number", OWN_RATE, 0, 0, default=0),
        ),
        model="black-forest-labs/flux-kontext-dev-lora",
        generates=(
            Parameter("strength", "number", STRENGTH_HELP, 0, 4),
            Parameter("steps", "whole", "Steps of the generation.", 4, 50),
            Parameter("guidance", "number", "How closely the picture follows the prompt.", 0, 10),
        ),
    ),
    is_training=True,
    dataset_field="input_images",
    caption_field="kontext_prompt_instruction",
    runner=Runner(
        "black-forest-labs/flux-kontext-dev-lora",
        "input_image",
        "lora_strength",
        optional={"seed": "seed", "steps": "num_inference_steps", "guidance": "guidance"},
        fixed={"output_format": "png"},
    ),
    fields={"steps": "training_steps", "learning_rate": ""},
)
TABLE = {each.trainer.id: each for each in (PRUNA, KONTEXT)}
REPORTED = frozenset({KONTEXT.trainer.id})


def known(trainer: str) -> ReplicateTrainer:
    """The trainer of this id. Raises RequestRejectedError for one that this version does not know."""
    if each := TABLE.get(trainer):
        return each
    raise RequestRejectedError("This version of the portal does not know this trainer, so nothing was sent.")
