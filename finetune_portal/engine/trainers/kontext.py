"""The real trainer, seen from the engine: a child process for each training, and what becomes of it.

The child (`python -m finetune_portal.engine.trainers.lora FOLDER`) has torch and this process has not. It
says how far it is in lines of JSON, and goes on from its last checkpoint when it is started again.
"""

from __future__ import annotations

import json
import queue
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from finetune_portal.engine.trainers import children, parameters
from finetune_portal.engine.trainers.devices import Devices
from finetune_portal.engine.trainers.image_generator import Painter
from finetune_portal.engine.trainers.model_folder import Model
from finetune_portal.engine.trainers.trainer import Report, Spec, TrainingFailed, file_name

MOST_DEATHS = 3  # in a row, with no new checkpoint between them
BREATH = 0.5  # seconds between signs of life
MEMORY_ADVICE = (
    "Set advance_parameters to use less: a smaller resolution, batch_size 1, a smaller rank, memory small."
)


class KontextTrainer:
    name = "kontext"
    simulated = False

    def __init__(self, model: Model, devices: Devices, painter: Painter | None) -> None:
        self.model = model
        self.painter = painter
        self.places = devices.count
        self._devices = devices

    def about(self) -> dict[str, Any]:
        return {
            "trainer": self.name,
            "simulated": False,
            "base_model": self.model.name,
            "tiny_model": self.model.tiny,
        }

    def seconds(self, steps: int) -> float:
        return 0.0

    def train(self, spec: Spec, work: Path, folder: Path, report: Report) -> Path:
        work.mkdir(parents=True, exist_ok=True)
        request = self.request(spec, work)
        (work / "request.json").write_text(json.dumps(request, indent=1), encoding="utf-8")
        with self._device(report) as device:
            _until_done(lambda: self.child(work, device), work, report)
        folder.mkdir(parents=True, exist_ok=True)
        return (work / "weights.safetensors").replace(folder / file_name(spec.name))

    def request(self, spec: Spec, work: Path) -> dict[str, Any]:
        """What the child is to do."""
        return {
            "name": spec.name,
            "instance_prompt": spec.instance_prompt,
            "steps": spec.steps,
            "learning_rate": spec.learning_rate,
            "dataset": str(spec.dataset.path),
            "dataset_sha256": spec.dataset.sha256,
            "model": str(self.model.folder),
            "model_name": self.model.name,
            **parameters.complete(spec.parameters),
        }

    def child(self, work: Path, device: str) -> children.Child:
        processes = device.count(",") + 1
        return children.start("lora", work, device=device, log=work / "log.txt", processes=processes)

    @contextmanager
    def _device(self, report: Report) -> Iterator[str]:
        with self._devices.wanted():
            while (device := self._devices.take(BREATH)) is None:
                if self.painter:
                    self.painter.let_go()
                report({})
        try:
            yield device
        finally:
            self._devices.give(device)


def _until_done(start: Callable[[], children.Child], work: Path, report: Report) -> None:
    """Start the child, and again if it dies; give up when it dies in the same place for the third time."""
    deaths, reached = 0, _checkpoint(work)
    while True:
        code = _run(start(), report)
        if code == 0:
            return
        deaths = deaths + 1 if _checkpoint(work) == reached else 1
        reached = _checkpoint(work)
        report({"event": "died", "code": code})
        if deaths == MOST_DEATHS:
            raise TrainingFailed(_epitaph(code, work))


def _checkpoint(work: Path) -> int:
    with suppress(OSError):
        return (work / "checkpoint.pt").stat().st_mtime_ns
    return 0


def _epitaph(code: int, work: Path) -> str:
    times = f"The trainer was started {MOST_DEATHS} times and did not get further."
    if code in (-signal.SIGKILL, children.SIGNALLED + signal.SIGKILL):
        return f"{times} It was killed from outside, most likely because memory ran out. {MEMORY_ADVICE}"
    return f"{times} It ended with {code}: {children.last_words(work / 'log.txt')}"


def _run(child: children.Child, report: Report) -> int:
    """One life of the child: its exit code. Raises TrainingFailed with the reason that it gave itself."""
    try:
        _listen(child, report)
        return child.wait()
    finally:
        children.end(child)


def _listen(child: children.Child, report: Report) -> None:
    events = children.events(child)
    while True:
        try:
            event = events.get(timeout=BREATH)
        except queue.Empty:
            report({})
            continue
        if event is None:
            return
        report(event)
        if event.get("event") == "failed":
            raise TrainingFailed(str(event["says"]))
