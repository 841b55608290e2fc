"""Which layers get a LoRA, and that the readers of the file know every one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import FluxKontextPipeline
from peft.utils import get_peft_model_state_dict
from safetensors.torch import load_file
from torch import nn

from finetune_portal.engine.trainers.lora.training import Training
from tests.train.training import dataset, spec, training

# The linear layers of a block, double and single, by what they are for.
ATTENTION = (8, 3)
FEED_FORWARD = (4, 2)
MODULATION = (2, 1)
# The names in diffusers' layout that ComfyUI maps to layers of FLUX, when it loads a LoRA whose keys begin
# with "transformer." (comfy/utils.py, flux_to_diffusers; comfy/lora.py, model_lora_keys_unet).
COMFYUI = {
    "transformer_blocks": """
        attn.to_q attn.to_k attn.to_v attn.add_q_proj attn.add_k_proj attn.add_v_proj attn.to_out.0
        attn.to_add_out norm1.linear norm1_context.linear ff.net.0.proj ff.net.2 ff_context.net.0.proj
        ff_context.net.2
    """.split(),  # noqa: SIM905  to be read
    "single_transformer_blocks": "attn.to_q attn.to_k attn.to_v proj_mlp norm.linear proj_out".split(),  # noqa: SIM905
}


def prepared(model: Path, folder: Path, **advanced: Any) -> Training:
    return training(spec(dataset(folder / "a.zip"), **advanced), model, folder / "work")


def layers(trainer: Training) -> set[str]:
    """The names of the layers that have a LoRA."""
    names = [name for name, _ in trainer.transformer.named_parameters()]
    return {name.split(".lora_A.")[0] for name in names if ".lora_A." in name}


def per_block(trainer: Training) -> tuple[int, int]:
    names = layers(trainer)
    first = [f"{kind}.0." for kind in COMFYUI]
    double, single = (len([name for name in names if name.startswith(start)]) for start in first)
    return double, single


@pytest.mark.parametrize(
    ("advanced", "parts"),
    [
        ({}, (ATTENTION, FEED_FORWARD, MODULATION)),
        ({"modulation": False}, (ATTENTION, FEED_FORWARD)),
        ({"feed_forward": False}, (ATTENTION, MODULATION)),
        ({"feed_forward": False, "modulation": False}, (ATTENTION,)),
    ],
)
def test_the_lora_is_on_the_documented_layers(
    model: Path, tmp_path: Path, advanced: dict[str, bool], parts: tuple[tuple[int, int], ...]
) -> None:
    double, single = (sum(counts) for counts in zip(*parts, strict=True))
    assert per_block(prepared(model, tmp_path, **advanced)) == (double, single)


def test_by_default_it_is_on_every_linear_layer_of_the_blocks(model: Path, tmp_path: Path) -> None:
    trainer = prepared(model, tmp_path)
    linear = {
        name.removesuffix(".base_layer")
        for name, module in trainer.transformer.named_modules()
        if isinstance(module, nn.Linear) and "transformer_blocks." in name and ".lora_" not in name
    }
    assert layers(trainer) == linear


def test_a_request_of_an_earlier_release_has_no_modulation(model: Path, tmp_path: Path) -> None:
    trainer = prepared(model, tmp_path, feed_forward=False)
    del trainer.request["modulation"]  # type: ignore[attr-defined]  # is a dict
    trainer.prepare()
    assert per_block(trainer) == ATTENTION


def test_comfyui_knows_every_layer_of_the_file(saved: dict[str, torch.Tensor]) -> None:
    for key in saved:
        prefix, kind, number, rest = key.split(".", 3)
        name, matrix = rest.split(".lora_")
        assert (prefix, number.isdigit()) == ("transformer", True), key
        assert matrix in ("A.weight", "B.weight"), key
        assert name in COMFYUI[kind], key


def test_diffusers_loads_every_matrix_of_the_file(
    model: Path, file: Path, saved: dict[str, torch.Tensor]
) -> None:
    pipe = FluxKontextPipeline.from_pretrained(model)
    pipe.load_lora_weights(file, adapter_name="own")
    loaded = get_peft_model_state_dict(pipe.transformer, adapter_name="own")
    assert {f"transformer.{name}" for name in loaded} == saved.keys()
    for name, tensor in loaded.items():
        assert torch.equal(tensor, saved[f"transformer.{name}"]), name


@pytest.fixture(scope="module")
def file(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The LoRA of one step."""
    folder = tmp_path_factory.mktemp("lora")
    trainer = prepared(model, folder)
    trainer.learner.step(0, trainer.batches(0))
    trainer.save_lora()
    return folder / "work" / "weights.safetensors"


@pytest.fixture(scope="module")
def saved(file: Path) -> dict[str, torch.Tensor]:
    tensors: dict[str, torch.Tensor] = load_file(file)
    return tensors
