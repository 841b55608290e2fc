"""Segmind's own two sample datasets train as they are, and so do sets with their properties."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from finetune_portal.engine.datasets import Dataset, check
from finetune_portal.engine.images import pixels
from finetune_portal.engine.trainers.trainer import TrainingSpec
from tests.engine.calling import zipped
from tests.pictures import encoded, with_metadata
from tests.train.training import picture, png, spec, training


def trains(dataset: Dataset, model: Path, work: Path) -> None:
    """Train two steps and make the file."""
    settings: TrainingSpec = spec(dataset, steps=2, resolution=64)
    trainer = training(settings, model, work)
    trainer.run()
    assert trainer.pair_count == dataset.pairs
    assert (work / "weights.safetensors").stat().st_size > 0


def test_a_set_with_their_properties_trains(model: Path, tmp_path: Path) -> None:
    """A WebP of over 1 MiB named .jpg, captions with byte order marks, halves of unlike size."""
    webp = encoded(Image.effect_noise((1200, 1100), 90).convert("RGB"), "WEBP", lossless=True, method=0)
    assert len(webp) > 1024**2
    caption = b"\xef\xbb\xbfMake the head bigger.\r\n"
    files = {
        **{"8_start.png": png(picture(1, (300, 200))), "8_end.jpg": webp, "8.txt": caption},
        **{"9_start.png": png(picture(2)), "9_end.png": png(picture(3, (64, 96))), "9.txt": caption},
        **{"10_start.jpg": with_metadata(encoded(picture(4), "JPEG")), "10_end.png": png(picture(5))},
        "10.txt": caption,
    }
    path = tmp_path / "dataset.zip"
    path.write_bytes(zipped(files))
    trains(check(path, instance_prompt="", check_image=pixels.check), model, tmp_path / "work")


@pytest.mark.skipif("VENDOR_DATASETS" not in os.environ, reason="VENDOR_DATASETS names no folder")
@pytest.mark.parametrize("name", ["bigger-head.zip", "hat-overlay.zip"])
def test_they_train_themselves(name: str, model: Path, tmp_path: Path) -> None:
    path = Path(os.environ["VENDOR_DATASETS"]) / name
    trains(check(path, instance_prompt="", check_image=pixels.check), model, tmp_path / "work")
