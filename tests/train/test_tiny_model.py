"""The tiny model that ships with the portal: a training on it shows, on a pair that it never saw."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import FluxKontextPipeline
from PIL import Image

from finetune_portal.engine.trainers.lora.distributed import ProcessGroup
from finetune_portal.engine.trainers.lora.training import Training
from finetune_portal.engine.trainers.tiny import edits, photo_edits
from tests.running import ROOT
from tests.train.training import dataset, png, request, spec

SHIPPED = ROOT / "finetune_portal" / "engine" / "trainers" / "tiny" / "model"
STEPS = 100
HARMLESS = (
    "make the head bigger",
    "turn day into night",
    "add a hat",
    "Put the hat on",
    "a photo of a cat",
    "",
    "hello",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[int, float]]:
    """On five drawn people whose hats hang above them on white cards; its folder, held-out losses by step."""
    work, losses = tmp_path_factory.mktemp("work"), {}

    def emit(event: str, **fields: Any) -> None:
        if event == "held_out":
            losses[fields["step"]] = fields["loss"]

    rng, files = np.random.default_rng(2026), {}
    for number in range(1, 6):
        drawn = edits.put_on_hat(rng, (80, 112))
        files[f"{number:02}_start.png"], files[f"{number:02}_end.png"] = png(drawn.control), png(drawn.target)
    training_spec = spec(dataset(work / "dataset.zip", files), steps=STEPS, sample_steps=STEPS, rank=16)
    Training(work, {**request(training_spec, SHIPPED), "learning_rate": 4e-4}, emit, ProcessGroup()).run()
    return work, losses


def distance(work: Path, sample: str, to: str) -> float:
    """Mean difference of a number of a pixel, 0 to 255."""
    pictures = [np.asarray(Image.open(work / f"{name}.png"), dtype=float) for name in (sample, to)]
    return float(np.abs(pictures[0] - pictures[1]).mean())


def test_the_loss_on_the_held_out_pair_falls(trained: tuple[Path, dict[int, float]]) -> None:
    losses = trained[1]
    assert losses[STEPS] < 0.9 * losses[0]


def test_before_it_keeps_the_picture_and_afterwards_it_makes_the_edit(
    trained: tuple[Path, dict[int, float]],
) -> None:
    work = trained[0]
    before, after = "sample-000000", f"sample-{STEPS:06}"
    assert distance(work, before, "control") < distance(work, before, "target")
    assert distance(work, after, "target") < distance(work, after, "control")


def test_without_a_lora_words_that_it_does_not_know_keep_the_picture() -> None:
    """The mean squared difference of a copy is below 200; of noise, above 1,000."""
    for prompt in HARMLESS:
        assert changed(prompt, prompt) < 400, prompt


def test_the_tokens_decide_what_it_does_and_not_the_pooled_vector() -> None:
    """A LoRA on the attention has no weights where the pooled vector goes: it could not call up the edit."""
    assert changed("hello", "turn into a caricature") > 600
    assert changed("turn into a caricature", "hello") < 400


def changed(pooled: str, tokens: str) -> float:
    """How far the untrained model changes a person, squared; each text encoder has a prompt of its own."""
    control = photo_edits.enlarge_head(np.random.default_rng(5), (80, 120)).control
    pipe = FluxKontextPipeline.from_pretrained(SHIPPED, dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    made = pipe(
        image=control,
        prompt=pooled,
        prompt_2=tokens,
        width=80,
        height=120,
        max_area=80 * 120,
        num_inference_steps=20,
        generator=torch.Generator().manual_seed(0),
        max_sequence_length=24,
        _auto_resize=False,
    ).images[0]
    return float(((np.asarray(made, dtype=float) - np.asarray(control, dtype=float)) ** 2).mean())


def test_it_is_small_enough_to_ship() -> None:
    assert sum(file.stat().st_size for file in SHIPPED.rglob("*") if file.is_file()) < 10_000_000
