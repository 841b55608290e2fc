"""What Segmind and the engines that speak its API train: one base model (docs/provider-api.md, 1)."""

from __future__ import annotations

from finetune_portal.providers.contract import Trainer
from finetune_portal.providers.segmind import parameters

KONTEXT = Trainer(
    id="flux-kontext",
    title="FLUX.1 Kontext",
    base_model="FLUX.1 Kontext [dev]",
    licence="FLUX.1 [dev] Non-Commercial License",
    parameters=(parameters.STEPS, parameters.LEARNING_RATE),
    model="flux-kontext",
)
