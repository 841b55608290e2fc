"""Training parameters of an engine that speaks this API, beside steps and learning rate (docs/training.md).

The vendor's page shows none for Kontext (docs/provider-api.md, 11.1). An engine names its own under /extra;
of a name that is not in this table the type is not known, and the engine itself checks the value.
"""

from __future__ import annotations

from collections.abc import Iterable

from finetune_portal.providers.contract import Parameter

KNOWN = {
    parameter.name: parameter
    for parameter in (
        Parameter("rank", "whole", "The rank of the LoRA.", 1, 256),
        Parameter("alpha", "whole", "The scale of the LoRA is alpha / rank; 0 stands for the rank.", 0, 1024),
        Parameter("feed_forward", "flag", "Train the feed-forward layers too."),
        Parameter(
            "resolution", "whole", "The side of a square as large as the images; 0: the model's.", 0, 2048
        ),
        Parameter("batch_size", "whole", "Pairs of one bucket in a step.", 1, 64),
        Parameter("warmup_steps", "whole", "Steps until the full learning rate.", 0, 10_000),
        Parameter("gradient_clipping", "number", "The maximum norm of the gradient.", 0.001, 1000),
        Parameter("guidance", "number", "The guidance input of the model during training.", 0, 30),
        Parameter("seed", "whole", "The seed of noise, order and first weights.", 0, 2**31 - 1),
        Parameter("memory", "choice", "How much GPU memory to use.", choices=("auto", "full", "small")),
        Parameter("hold_out", "flag", "Hold the first pair out for validation."),
        Parameter("checkpoint_steps", "whole", "Steps between checkpoints.", 1, 10_000),
        Parameter(
            "timestep_sampling",
            "choice",
            "How the noise levels of the steps are drawn; shifted: as samples pass them.",
            choices=("shifted", "uniform", "logit_normal"),
        ),
        Parameter("sample_steps", "whole", "Steps between validations; 0: a quarter of all.", 0, 20_000),
    )
}


def described(names: Iterable[str]) -> list[Parameter]:
    """The parameters of these names, with type and range where they are known."""
    return [KNOWN.get(name) or Parameter(name, "any", "") for name in names]
