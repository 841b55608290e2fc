"""What Segmind trains, which is one base model (docs/provider-api.md, 1), and what engines do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from finetune_portal.providers.contract import Availability, Trainer
from finetune_portal.providers.parameter import Parameter, ParameterError
from finetune_portal.providers.segmind import parameters

KONTEXT = Trainer(
    id="flux-kontext",
    title="FLUX.1 Kontext",
    base_model="FLUX.1 Kontext [dev]",
    licence="FLUX.1 [dev] Non-Commercial License",
    parameters=(parameters.STEPS, parameters.LEARNING_RATE),
    model="flux-kontext",
)
# Base models of engines alone (docs/training.md): a job keeps its title when its engine has them no more.
TITLES = {
    "flux-2-klein": "FLUX.2 klein",
    "flux-2-klein-base-4b": "FLUX.2 klein 4B base",
    "flux-2-klein-base-9b": "FLUX.2 klein 9B base",
    "qwen-image-edit-plus": "Qwen-Image-Edit Plus",
    "qwen-image-edit-2509": "Qwen-Image-Edit-2509",
    "qwen-image-edit-2511": "Qwen-Image-Edit-2511",
}


def of_engine(offers: Sequence[Mapping[str, Any]]) -> Iterator[Trainer]:
    """The trainers of the base models that an engine named under /extra (extension.py)."""
    for offer in offers:
        described = tuple(_with_defaults(offer["parameters"]))
        if offer["id"] == KONTEXT.id:
            yield replace(KONTEXT, parameters=(*KONTEXT.parameters, *described), licence=offer["licence"])
        else:
            title = TITLES.get(offer["id"], offer["title"])
            numbers = (replace(each, default=None) for each in KONTEXT.parameters)
            is_known = offer["id"] in TITLES
            yield Trainer(
                id=offer["id"],
                title=title,
                base_model=title,
                licence=offer["licence"],
                parameters=(*numbers, *described) if is_known else (),
                availability=Availability.OPEN,
                most_inputs=offer["most_inputs"],
                model=offer["id"],
                is_known=is_known,
            )


def _with_defaults(defaults: Mapping[str, Any]) -> Iterator[Parameter]:
    for parameter in parameters.described(defaults):
        with suppress(ParameterError):
            yield replace(parameter, default=parameter.read(defaults[parameter.name]))
            continue
        yield parameter
