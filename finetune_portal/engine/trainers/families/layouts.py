"""What the folder of each family holds, and how its base models are offered. The engine reads it."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from finetune_portal.engine.trainers.memory import TINY, Needs
from finetune_portal.engine.trainers.parameters import Known, Whole

DIFFUSERS = "diffusion_pytorch_model"  # the stem of diffusers' files of weights
TRANSFORMERS = "model"


@dataclass(frozen=True)
class Variant:
    """One base model of a family, as people select it. An empty licence is not known."""

    id: str
    title: str
    licence: str = ""
    needs: Needs = TINY


@dataclass(frozen=True)
class Layout:
    """The parts of a folder. `repository` is where weights for training are on Hugging Face.

    Each part has a config of its own, and weights under its stem; the scheduler has none. A tokenizer has all
    files of one of its groups, and so has a processor of images. `variants` are by the width of the
    transformer; 0 is any other. `switched` are those that have the width of another, by the switch of the
    transformer's config that tells them. `lacks` are parameters of which the transformer has nothing,
    `defaults` those that differ, `bounds` what is read in other bounds. Images of requests have at least
    `least_steps`, and `guidance` if they name none.
    """

    repository: str
    parts: Mapping[str, str]
    tokenizers: Mapping[str, tuple[tuple[str, ...], ...]]
    variants: Mapping[int, Variant]
    most_inputs: int
    guidance: float
    processors: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    switched: Mapping[str, Variant] = field(default_factory=dict)
    least_steps: int = 1
    lacks: frozenset[str] = frozenset()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    bounds: Mapping[str, Known] = field(default_factory=dict)

    def variant(self, width: int, switches: Container[str] = ()) -> Variant:
        if width not in self.variants:
            return self.variants[0]
        by_switch = (variant for switch, variant in self.switched.items() if switch in switches)
        return next(by_switch, self.variants[width])


QWEN_NEEDS = Needs(full=47.5, int8=27.7, small=18.1)

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
        variants={
            0: Variant("flux-kontext", "FLUX.1 Kontext"),
            3072: Variant(
                "flux-kontext",
                "FLUX.1 Kontext",
                "FLUX.1 [dev] Non-Commercial License",
                Needs(full=30.0, int8=18.5, small=12.9),
            ),
        },
        most_inputs=1,
        guidance=2.5,
    ),
    "Flux2KleinPipeline": Layout(
        repository="black-forest-labs/FLUX.2-klein-base-4B",
        parts={"scheduler": "", "vae": DIFFUSERS, "text_encoder": TRANSFORMERS, "transformer": DIFFUSERS},
        tokenizers={"tokenizer": (("tokenizer.json",), ("vocab.json", "merges.txt"))},
        variants={
            0: Variant("flux-2-klein", "FLUX.2 klein"),
            3072: Variant(
                "flux-2-klein-base-4b",
                "FLUX.2 klein 4B base",
                "Apache License 2.0",
                Needs(full=12.1, int8=8.4, small=6.5),
            ),
            4096: Variant(
                "flux-2-klein-base-9b",
                "FLUX.2 klein 9B base",
                "FLUX Non-Commercial License",
                Needs(full=24.4, int8=15.6, small=11.3),
            ),
        },
        most_inputs=4,
        guidance=4.0,
        lacks=frozenset({"guidance", "modulation"}),
        defaults={"timestep_sampling": "uniform"},
        bounds={"resolution": Whole(0, 0, 1024)},  # its pipeline shrinks larger input images
    ),
    "QwenImageEditPlusPipeline": Layout(
        repository="Qwen/Qwen-Image-Edit-2511",
        parts={"scheduler": "", "vae": DIFFUSERS, "text_encoder": TRANSFORMERS, "transformer": DIFFUSERS},
        tokenizers={"tokenizer": (("tokenizer.json",), ("vocab.json", "merges.txt"))},
        processors={"processor": (("preprocessor_config.json",), ("processor_config.json",))},
        variants={
            0: Variant("qwen-image-edit-plus", "Qwen-Image-Edit Plus"),
            3072: Variant("qwen-image-edit-2509", "Qwen-Image-Edit-2509", "Apache License 2.0", QWEN_NEEDS),
        },
        switched={
            "zero_cond_t": Variant(
                "qwen-image-edit-2511", "Qwen-Image-Edit-2511", "Apache License 2.0", QWEN_NEEDS
            ),
        },
        most_inputs=3,
        guidance=4.0,
        least_steps=2,  # its schedule ends at 0.02, which one step alone does not reach: NaN
        lacks=frozenset({"guidance"}),
        defaults={"modulation": False},  # as its other trainers have it
    ),
}
