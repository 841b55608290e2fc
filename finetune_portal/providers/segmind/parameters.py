"""Training parameters of this API: steps and learning rate, the machine, and those of an engine alone.

The vendor's page has no more for Kontext, and no range (docs/provider-api.md, 11.1): the bounds are those of
comparable services, the defaults its sample's. An engine names its own under /extra (docs/training.md); of a
name that is not in `KNOWN` the type is not known, and the engine itself checks the value.
"""

from __future__ import annotations

from collections.abc import Iterable

from finetune_portal.providers.parameter import Parameter

STEPS = Parameter("steps", "whole", "Steps of the training.", 1, 20_000, default=300)
LEARNING_RATE = Parameter("learning_rate", "number", "The learning rate.", 1e-7, 0.01, default=4e-4)
# In lower case, as choices are; the API spells it in capitals.
MACHINE_TYPE = Parameter(
    "machine_type", "choice", "The GPU of the training.", choices=("nvidia_h100",), default="nvidia_h100"
)
# What `advance_parameters` repeats though it stands elsewhere (docs/provider-api.md, 10).
ELSEWHERE = (STEPS.name, LEARNING_RATE.name, "prompt", "theme")
KNOWN = {
    parameter.name: parameter
    for parameter in (
        Parameter("rank", "whole", "The rank of the LoRA.", 1, 256, default=16),
        Parameter(
            "alpha",
            "whole",
            "The scale of the LoRA is alpha / rank; 0 stands for the rank.",
            0,
            1024,
            default=0,
        ),
        Parameter("feed_forward", "flag", "Train the feed-forward layers, too.", default=True),
        Parameter(
            "modulation", "flag", "Train the layers that scale and shift the norms, too.", default=True
        ),
        Parameter(
            "resolution",
            "whole",
            "The side in pixels of a square as large as the images; 0: the model’s own.",
            0,
            2048,
            default=0,
        ),
        Parameter("batch_size", "whole", "Pairs of one bucket in a batch.", 1, 64, default=1),
        Parameter(
            "gradient_accumulation_steps", "whole", "Batches of which a step has the mean.", 1, 64, default=1
        ),
        Parameter(
            "lr_scheduler",
            "choice",
            "The learning rate after the warm-up; cosine: it falls to 0 until the last step.",
            choices=("constant", "cosine"),
            default="constant",
        ),
        Parameter(
            "warmup_steps",
            "whole",
            "Steps until the full learning rate, at most half of all.",
            0,
            10_000,
            default=20,
        ),
        Parameter(
            "gradient_clipping", "number", "The maximum norm of the gradient.", 0.001, 1000, default=1.0
        ),
        Parameter(
            "guidance", "number", "The guidance input of the model during training.", 0, 30, default=1.0
        ),
        Parameter("seed", "whole", "The seed of noise, order and first weights.", 0, 2**31 - 1, default=0),
        Parameter(
            "memory",
            "choice",
            "How weights are held; full: bf16, int8: 8 bits, small: 4 bits; auto: the first that fits.",
            choices=("auto", "full", "int8", "small"),
            default="auto",
        ),
        Parameter(
            "hold_out", "flag", "Hold the first of three or more pairs out for validation.", default=True
        ),
        Parameter("checkpoint_steps", "whole", "Steps between checkpoints.", 1, 10_000, default=50),
        Parameter(
            "timestep_sampling",
            "choice",
            "How the noise levels of the steps are drawn; shifted: as samples pass them.",
            choices=("shifted", "uniform", "logit_normal"),
            default="shifted",
        ),
        Parameter(
            "sample_steps", "whole", "Steps between validations; 0: a quarter of all.", 0, 20_000, default=0
        ),
    )
}


def described(names: Iterable[str]) -> list[Parameter]:
    """The parameters of these names, with type and range where they are known."""
    return [KNOWN.get(name) or Parameter(name, "any", "") for name in names]
