"""What the folder of each family of base models holds. No torch: the engine itself reads this."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

DIFFUSERS = "diffusion_pytorch_model"  # the stem of diffusers' files of weights
TRANSFORMERS = "model"


@dataclass(frozen=True)
class Layout:
    """The parts of a folder. `repository` is where its weights are on Hugging Face.

    Each part has a config of its own, and weights under its stem; the scheduler has none. A tokenizer has all
    files of one of its groups.
    """

    repository: str
    parts: Mapping[str, str]
    tokenizers: Mapping[str, tuple[tuple[str, ...], ...]]


# By the pipeline that model_index.json names; loading.py has the code of each.
LAYOUTS = {
    "FluxKontextPipeline": Layout(
        repository="black-forest-labs/FLUX.1-Kontext-dev",
        parts={
            "scheduler": "",
            "vae": DIFFUSERS,
            "text_encoder": TRANSFORMERS,
            "text_encoder_2": TRANSFORMERS,
            "transformer": DIFFUSERS,
        },
        tokenizers={
            "tokenizer": (("tokenizer.json",), ("vocab.json", "merges.txt")),
            "tokenizer_2": (("tokenizer.json",), ("spiece.model",)),
        },
    ),
}
