"""A training whose loss is no number any more stops with a sentence, and no reader of JSON sees a NaN."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from finetune_portal.engine.trainers.lora.training import DivergedError
from tests.train.training import dataset, spec, training


def test_a_training_stops_at_the_first_loss_that_is_no_number(model: Path, tmp_path: Path) -> None:
    steady = spec(dataset(tmp_path / "a.zip"), warmup_steps=0, checkpoint_steps=100)
    trainer = training(dataclasses.replace(steady, learning_rate=1e30), model, tmp_path / "work")
    events: list[dict[str, Any]] = []
    trainer.emit = lambda event, **fields: events.append({"event": event, **fields})
    with pytest.raises(DivergedError, match=r"after step \d+: the training diverged.*below 1e\+30"):
        trainer.run()
    assert [event["event"] for event in events if event["event"] == "step"]
    assert json.dumps(events, allow_nan=False)
    assert not (tmp_path / "work" / "weights.safetensors").exists()
