"""The progress file of a training: whatever is lost or repeated in it, each step of a curve counts once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from finetune_portal.engine import progress

CURVE = {
    "loss": [[1, 0.9], [2, 0.8], [3, 0.7], [4, 0.6]],
    "held_out": [[0, 1.0], [4, 0.5]],
    "held_out_weighted": [[0, 0.7], [4, 0.3]],
    "samples": [[0, "sample-000000.png"], [4, "sample-000004.png"]],
}


def write(work: Path, *events: dict[str, Any]) -> None:
    for event in events:
        progress.add(work, event)


def started(step: int, **curve: Any) -> dict[str, Any]:
    return {"event": "started", "step": step, **({"curve": curve} if curve else {})}


def steps(*numbers: int, loss: float = 0.1) -> list[dict[str, Any]]:
    return [{"event": "step", "step": number, "loss": loss} for number in numbers]


def test_lines_that_were_never_read_come_back_from_the_checkpoint(tmp_path: Path) -> None:
    write(tmp_path, started(0, loss=[]), *steps(1, 2, loss=0.9))
    write(tmp_path, started(4, **CURVE), *steps(5, 6))
    training = progress.read(tmp_path)
    assert training.losses == [(1, 0.9), (2, 0.8), (3, 0.7), (4, 0.6), (5, 0.1), (6, 0.1)]
    assert training.held_out == [(0, 1.0), (4, 0.5)]
    assert training.held_out_weighted == [(0, 0.7), (4, 0.3)]
    assert training.samples == [(0, "sample-000000.png"), (4, "sample-000004.png")]


def test_steps_after_the_checkpoint_are_gone_until_they_are_trained_again(tmp_path: Path) -> None:
    write(tmp_path, started(0, loss=[]), *steps(1, 2, 3, 4, 5, 6, loss=0.9))
    write(tmp_path, {"event": "sample", "step": 6, "file": "sample-000006.png"}, started(4, **CURVE))
    training = progress.read(tmp_path)
    assert [step for step, _loss in training.losses] == [1, 2, 3, 4]
    assert [step for step, _file in training.samples] == [0, 4]
    assert training.latest == {"step": 4}
    write(tmp_path, *steps(5, loss=0.3))
    assert progress.read(tmp_path).losses[-1] == (5, 0.3)
    assert progress.read(tmp_path).latest["step"] == 5


def test_a_checkpoint_of_an_earlier_version_has_no_curve_and_takes_nothing_away(tmp_path: Path) -> None:
    write(tmp_path, started(0), *steps(1, 2, 3, 4, 5), started(4), *steps(5, 6, loss=0.2))
    training = progress.read(tmp_path)
    assert [step for step, _loss in training.losses] == [1, 2, 3, 4, 5, 6]
    assert training.losses[-2:] == [(5, 0.2), (6, 0.2)]


def test_a_line_that_a_killed_engine_did_not_finish_costs_no_other(tmp_path: Path) -> None:
    write(tmp_path, started(0, loss=[]), *steps(1))
    with (tmp_path / progress.FILE).open("ab") as file:
        file.write(b'{"event": "step", "st')
    write(tmp_path, started(4, **CURVE))
    assert len(progress.read(tmp_path).losses) == 4


def test_a_loss_that_is_no_number_is_left_out(tmp_path: Path) -> None:
    """An earlier version wrote it, and an answer with NaN is no JSON to other readers."""
    write(tmp_path, started(0), *steps(1, 2), *steps(3, loss=float("nan")))
    assert [step for step, _loss in progress.read(tmp_path).losses] == [1, 2]


def test_a_child_of_an_earlier_version_reports_no_weighted_loss(tmp_path: Path) -> None:
    write(tmp_path, started(0), {"event": "held_out", "step": 0, "loss": 1.0})
    write(tmp_path, {"event": "held_out", "step": 4, "loss": 0.5, "weighted_loss": 0.3})
    training = progress.read(tmp_path)
    assert training.held_out == [(0, 1.0), (4, 0.5)]
    assert training.held_out_weighted == [(4, 0.3)]


def test_a_phase_lasts_until_the_next_step(tmp_path: Path) -> None:
    write(tmp_path, {"event": "phase", "phase": "Encoding 6 pairs"})
    assert progress.read(tmp_path).phase == "Encoding 6 pairs"
    write(tmp_path, started(0), {"event": "phase", "phase": "Making the first sample"})
    assert progress.read(tmp_path).phase == "Making the first sample"
    write(tmp_path, *steps(1))
    assert progress.read(tmp_path).phase == ""


def test_without_a_file_there_is_no_progress(tmp_path: Path) -> None:
    assert progress.read(tmp_path) == ({}, {}, [], [], [], [], "")
    progress.sync(tmp_path)
