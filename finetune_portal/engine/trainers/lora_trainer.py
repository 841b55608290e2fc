"""The real trainer, seen from the engine: one child process for each training, and what becomes of it.

The child (`python -m finetune_portal.engine.trainers.lora FOLDER`) has torch, and this process has not. It
reports its progress by lines of JSON, and goes on from its last checkpoint when it is started again.
"""

from __future__ import annotations

import json
import queue
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from finetune_portal.engine.atomic_write import write_atomically
from finetune_portal.engine.trainers import children, parameters
from finetune_portal.engine.trainers.devices import Devices
from finetune_portal.engine.trainers.image_generator import ImageGenerator
from finetune_portal.engine.trainers.model_folder import BaseModel
from finetune_portal.engine.trainers.trainer import (
    KONTEXT,
    BaseModelGoneError,
    Report,
    TrainingError,
    TrainingSpec,
    file_name,
    find_model,
)

MAX_DEATHS = 3  # in a row, with no new checkpoint between them
REPORT_SECONDS = 0.5  # between signs of life
NAMES = {KONTEXT: "kontext"}  # what clients know a trainer by, where it is not the id of its base model


class LoraTrainer:
    name = "lora"
    is_simulated = False
    why_no_images = ""

    def __init__(
        self, models: Sequence[BaseModel], devices: Devices, image_generator: ImageGenerator | None
    ) -> None:
        self.models = models
        self.image_generator = image_generator
        self.slots = devices.count
        self._devices = devices

    def about(self, base_model: str = "") -> dict[str, Any]:
        id = base_model or KONTEXT
        about = {"trainer": NAMES.get(id, id), "simulated": False}
        model = find_model(self.models, base_model)
        return about | {"base_model": model.name, "tiny_model": model.is_tiny} if model else about

    def delay_seconds(self, steps: int) -> float:
        return 0.0

    def train(self, spec: TrainingSpec, work: Path, folder: Path, report: Report) -> Path:
        work.mkdir(parents=True, exist_ok=True)
        request = self.request(spec, work)
        with write_atomically(work / "request.json") as draft:
            draft.write_text(json.dumps(request, indent=1), encoding="utf-8")
        with self._device(report) as device:
            report({"event": "phase", "phase": "Starting the trainer"})
            _run_until_done(lambda: self.start_child(work, device), work, report)
        folder.mkdir(parents=True, exist_ok=True)
        return (work / "weights.safetensors").replace(folder / file_name(spec.name))

    def request(self, spec: TrainingSpec, work: Path) -> dict[str, Any]:
        """What the child reads. A checkpoint is used again only for an equal request.

        A training that was begun keeps its parameters, whatever was added or is the default now, so that it
        ends as it began.
        """
        model = find_model(self.models, spec.base_model)
        if model is None:
            raise BaseModelGoneError(spec.base_model)
        settings = parameters.with_defaults(spec.parameters, model.parameters)
        if begun_with := _begun_with(work):
            settings = {name: begun_with[name] for name in settings if name in begun_with}
        return {
            "name": spec.name,
            "instance_prompt": spec.instance_prompt,
            "steps": spec.steps,
            "learning_rate": spec.learning_rate,
            "dataset": str(spec.dataset.path),
            "dataset_sha256": spec.dataset.sha256,
            "model": str(model.folder),
            "model_name": model.name,
            **settings,
        }

    def start_child(self, work: Path, device: str) -> children.Child:
        processes = device.count(",") + 1
        return children.start("lora", work, device=device, log=work / "log.txt", processes=processes)

    @contextmanager
    def _device(self, report: Report) -> Iterator[str]:
        """Wait for a device; the image generator gives its own back if it is idle."""
        with self._devices.training_waits():
            while (device := self._devices.take(REPORT_SECONDS)) is None:
                if self.image_generator:
                    self.image_generator.release_device()
                report({})
        try:
            yield device
        finally:
            self._devices.give_back(device)


def _begun_with(work: Path) -> dict[str, Any]:
    """The request with which an earlier start began this training; empty if there was none."""
    with suppress(OSError, ValueError):
        request: dict[str, Any] = json.loads((work / "request.json").read_text(encoding="utf-8"))
        return request
    return {}


def _run_until_done(start: Callable[[], children.Child], work: Path, report: Report) -> None:
    """Start the child, and again when it dies; give up when it dies MAX_DEATHS times at one checkpoint."""
    deaths, reached = 0, _checkpoint_time(work)
    while True:
        code = _run(start(), report)
        if code == 0:
            return
        deaths = deaths + 1 if _checkpoint_time(work) == reached else 1
        reached = _checkpoint_time(work)
        report({"event": "died", "code": code})
        report({"event": "phase", "phase": "Starting the trainer again"})
        if deaths == MAX_DEATHS:
            raise TrainingError(_death_message(code, work))


def _checkpoint_time(work: Path) -> int:
    with suppress(OSError):
        return (work / "checkpoint.pt").stat().st_mtime_ns
    return 0


def _death_message(code: int, work: Path) -> str:
    message = f"The trainer was started {MAX_DEATHS} times and did not get further."
    if code in (-signal.SIGKILL, children.SIGNALLED + signal.SIGKILL):
        cause = "It was killed from outside, most likely because memory ran out."
        return f"{message} {cause} {parameters.MEMORY_ADVICE}"
    return f"{message} It ended with {code}: {children.last_log_line(work / 'log.txt')}"


def _run(child: children.Child, report: Report) -> int:
    """Report the child's events until it ends; return its exit code.

    Raises TrainingError with the reason that the child gave itself.
    """
    try:
        _report_events(child, report)
        return child.wait()
    finally:
        children.kill(child)


def _report_events(child: children.Child, report: Report) -> None:
    events = children.read_events(child)
    while True:
        try:
            event = events.get(timeout=REPORT_SECONDS)
        except queue.Empty:
            report({})
            continue
        if event is None:
            return
        report(event)
        if event.get("event") == "failed":
            raise TrainingError(children.failure_message(event))
