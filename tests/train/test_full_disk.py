"""A disk that fills during a training: the last checkpoint stays, and the model waits for room."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from finetune_portal.engine.trainers.lora import training as lora_training
from tests.train.training import dataset, spec, training

FULL = 2**60


def test_a_full_disk_costs_no_checkpoint_and_no_model(
    model: Path, tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lora_training, "ROOM_SECONDS", 0.01)
    work = tmp_path / "work"
    steps = spec(dataset(tmp_path / "a.zip"), steps=6, checkpoint_steps=2, sample_steps=3)
    trainer = training(steps, model, work)
    events: list[tuple[str, Any]] = []  # the name of each, and its first field

    def emit(event: str, **fields: Any) -> None:
        events.append((event, next(iter(fields.values()))))
        if event == "checkpoint":
            settings.DISK_FLOOR_BYTES = FULL
        if event == "phase" and "Waiting for room" in fields["phase"]:
            assert torch.load(work / "checkpoint.pt", weights_only=True)["step"] == 2
            assert sorted(path.name for path in work.iterdir()) == [
                *("checkpoint.pt", "control.png", "sample-000000.png", "target.png")
            ]
            settings.DISK_FLOOR_BYTES = 0

    trainer.emit = emit
    trainer.run()
    assert [each for each in events if each[0] in ("checkpoint", "no_room", "sample")] == [
        ("sample", 0),
        ("checkpoint", 2),
        ("no_room", "The disk is full: control.png was not written."),
        ("no_room", "The disk is full: checkpoint.pt was not written."),
        ("no_room", "The disk is full: control.png was not written."),
        ("no_room", "The disk is full: checkpoint.pt was not written."),
    ]
    assert events[-2:] == [("phase", "Waiting for room on the disk for the model file"), ("done", 6)]
    assert load_file(work / "weights.safetensors")
