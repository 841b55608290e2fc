"""A checkpoint holds all that a training goes on from: its numbers, and the curves that were drawn so far."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from finetune_portal.engine import progress
from finetune_portal.engine.trainers.families.klein import Klein
from finetune_portal.engine.trainers.families.qwen import Qwen
from finetune_portal.engine.trainers.lora.distributed import ProcessGroup
from finetune_portal.engine.trainers.lora.training import Training
from tests.train.training import dataset, spec
from tests.train.training import request as request_of

STEPS = 6
Run = Callable[..., progress.Progress]


class StopError(Exception):
    """The process ends here."""


@pytest.fixture(scope="module")
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Train in a folder a model of the fixture that the parameter names: `run(work, lose_from=4, stop_at=5)`.

    Events from one step on get lost, and after another step the process ends.
    """
    model = request.getfixturevalue(request.param)
    zip_file = dataset(tmp_path_factory.mktemp("dataset") / "dataset.zip")
    training_spec = spec(zip_file, steps=STEPS, checkpoint_steps=2, sample_steps=3)

    def train(work: Path, *, lose_from: int = STEPS + 1, stop_at: int = 0) -> progress.Progress:
        def emit(event: str, **fields: Any) -> None:
            if fields.get("step", 0) < lose_from:
                progress.add(work, {"event": event, **fields})
            if event == "step" and fields["step"] == stop_at:
                raise StopError

        Training(work, request_of(training_spec, model), emit, ProcessGroup()).run()
        return progress.read(work)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Klein, "sample_steps", 2)  # of 28, each with two passes
        patch.setattr(Qwen, "sample_steps", 2)
        yield train


@pytest.fixture(scope="module")
def whole(run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[progress.Progress, Path]:
    """What a training draws that nothing disturbs, and its folder."""
    work = tmp_path_factory.mktemp("whole")
    return run(work), work


@pytest.mark.parametrize(
    ("run", "lose_from"), [("model", 1), ("model", 4), ("klein", 4), ("qwen", 4)], indirect=["run"]
)
def test_the_curves_are_whole_though_the_engine_stopped_before_it_read_them(
    run: Run, tmp_path: Path, whole: tuple[progress.Progress, Path], lose_from: int
) -> None:
    with pytest.raises(StopError):
        run(tmp_path, lose_from=lose_from, stop_at=5)
    resumed = run(tmp_path)
    assert [step for step, _loss in resumed.losses] == [*range(1, STEPS + 1)]
    undisturbed, work = whole
    assert resumed[2:] == undisturbed[2:]
    assert resumed.started["step"] == 4
    assert all((tmp_path / name).is_file() for _step, name in resumed.samples)
    own, others = (load_file(folder / "weights.safetensors") for folder in (tmp_path, work))
    assert own.keys() == others.keys()
    assert all(torch.equal(own[name], others[name]) for name in own), "bit by bit"
