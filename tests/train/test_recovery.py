"""What becomes of a training when its process, or the engine, ends where it should not."""

from __future__ import annotations

import os
import re
import resource
import signal
from pathlib import Path
from typing import Any

import torch

from tests.engine.calling import call, details
from tests.running import RunningEngine
from tests.train.jobs import (
    at_step,
    begun,
    child,
    children,
    ended,
    events,
    progress,
    progress_file,
    tensors,
    until,
)
from tests.train.training import turned_colours


def is_like(engine: RunningEngine, job: str, undisturbed: dict[str, Any]) -> bool:
    """Whether a training has the curves, the samples and the weights of one that nothing disturbed."""
    own_progress, other_progress = progress(engine, job), progress(engine, undisturbed["id"])
    for curve in ("loss", "held_out", "samples"):
        assert own_progress[curve] == other_progress[curve]
    own, others = tensors(engine, details(engine, job)), tensors(engine, undisturbed)
    return own.keys() == others.keys() and all(torch.equal(own[name], others[name]) for name in own)


def test_a_killed_trainer_goes_on_from_its_checkpoint(trainer: RunningEngine, done: dict[str, Any]) -> None:
    job = begun(trainer)
    at_step(trainer, job, 9)
    os.kill(child(trainer, job), signal.SIGKILL)
    ended(trainer, job)
    assert [each["code"] for each in events(trainer, job, "died")] == [-signal.SIGKILL]
    first, again = (each["step"] for each in events(trainer, job, "started"))
    assert first == 0
    assert again >= 8
    assert progress(trainer, job)["step"] == 24
    assert is_like(trainer, job, done)


def test_a_killed_engine_takes_the_trainer_along_and_goes_on(
    trainer: RunningEngine, done: dict[str, Any]
) -> None:
    job = begun(trainer)
    at_step(trainer, job, 9)
    trainer.kill()
    until(lambda: not children(trainer, job))
    forget_the_last_lines(trainer, job)
    trainer.start()
    ended(trainer, job)
    assert [each["step"] >= 8 for each in events(trainer, job, "started")] == [False, True]
    assert is_like(trainer, job, done)


def forget_the_last_lines(engine: RunningEngine, job: str) -> None:
    """As if the engine had ended before it read them: the child is ahead of it by a pipe and a queue."""
    path = progress_file(engine, job)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def test_a_stop_in_the_middle_goes_on_too(trainer: RunningEngine, done: dict[str, Any]) -> None:
    job = begun(trainer)
    at_step(trainer, job, 5)
    trainer.stop()
    assert children(trainer, job) == []
    trainer.start()
    ended(trainer, job)
    assert is_like(trainer, job, done)


def test_the_third_death_in_one_place_is_the_end(trainer: RunningEngine) -> None:
    job = begun(trainer)
    killed = 0
    for _ in range(3):
        killed = child(trainer, job, after=killed)
        os.kill(killed, signal.SIGKILL)
    error = ended(trainer, job, "FAILED")["error_message"]
    assert error.startswith(
        "The trainer was started 3 times and did not get further. It was killed from outside"
    )
    assert "batch_size 1" in error


def test_without_memory_it_says_what_to_set(trainer: RunningEngine) -> None:
    """The child may have no more than it has when it begins: a large step then finds nothing."""
    job = begun(trainer, turned_colours(6, (256, 256)), resolution=256, batch_size=5)
    until(lambda: events(trainer, job, "started"))
    pid = child(trainer, job)
    size = re.search(r"VmSize:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert size
    most = int(size[1]) * 1024 + 64 * 1024**2
    resource.prlimit(pid, resource.RLIMIT_AS, (most, most))
    error = ended(trainer, job, "FAILED")["error_message"]
    assert error.startswith("Memory ran out. Set advance_parameters to use less: a smaller resolution")


def test_a_damaged_picture_is_named(trainer: RunningEngine) -> None:
    """Its head is whole, so that the first look at the dataset lets it pass."""
    files = turned_colours(3)
    files["02_end.png"] = files["02_end.png"][:-400]
    error = ended(trainer, begun(trainer, files), "FAILED")["error_message"]
    assert error == "02_end.png is damaged: its picture ends early or cannot be decoded."


def test_one_trains_at_a_time_in_order_and_a_cancel_makes_room(trainer: RunningEngine) -> None:
    first = begun(trainer, steps=20_000)
    at_step(trainer, first, 1)  # of jobs that begin together any may be the first whose dataset is checked
    second = begun(trainer, steps=20_000)
    until(lambda: progress(trainer, second)["ahead"] == 1)
    third = begun(trainer, steps=20_000)
    until(lambda: progress(trainer, third)["ahead"] == 2)
    assert children(trainer, second) == children(trainer, third) == []
    cancel(trainer, third)
    cancel(trainer, first)
    assert children(trainer, first) == []
    assert progress(trainer, third)["step"] is None
    at_step(trainer, second, 1)
    cancel(trainer, second)
    answer = call(trainer, "POST", "/extra/cancel", json={"finetune_id": second})
    assert answer.status_code == 409


def cancel(engine: RunningEngine, job: str) -> None:
    answer = call(engine, "POST", "/extra/cancel", json={"finetune_id": job})
    assert answer.json() == {"finetune_id": job, "cancelled": True}
    assert ended(engine, job, "FAILED")["error_message"] == "Cancelled."
