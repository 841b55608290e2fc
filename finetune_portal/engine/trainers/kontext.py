"""The real trainer, seen from the engine: a child process for each training, and what becomes of it.

The child (`python -m finetune_portal.engine.trainers.lora FOLDER`) has torch and this process has not. It
says how far it is in lines of JSON, and goes on from its last checkpoint when it is started again.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from finetune_portal import env
from finetune_portal.engine.trainers import parameters
from finetune_portal.engine.trainers.models import Model
from finetune_portal.engine.trainers.trainer import Event, Report, Spec, TrainingFailed, file_name

MOST_DEATHS = 3  # in a row, with no new checkpoint between them
BREATH = 0.5  # seconds between signs of life
# What of the environment the child gets: no key of the engine is among it.
HANDED_ON = (
    "PATH",
    "HOME",
    "LANG",
    "LC_",
    "TMPDIR",
    "VIRTUAL_ENV",
    "LD_",
    "CUDA",
    "NVIDIA_",
    "OMP_",
    "PYTORCH_",
)
MEMORY_ADVICE = (
    "Set advance_parameters to use less: "
    "a smaller resolution (512), batch_size 1, a smaller rank, memory small."
)


class KontextTrainer:
    name = "kontext"
    simulated = False

    def __init__(self, model: Model, devices: list[str]) -> None:
        self.model = model
        self.places = len(devices)
        self._free: queue.SimpleQueue[str] = queue.SimpleQueue()
        for device in devices:
            self._free.put(device)

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
        _write_request(spec, self.model, work)
        with self._device(report) as device:
            _until_done(work, device, report)
        folder.mkdir(parents=True, exist_ok=True)
        return (work / "weights.safetensors").replace(folder / file_name(spec.name))

    @contextmanager
    def _device(self, report: Report) -> Iterator[str]:
        while True:
            with suppress(queue.Empty):
                device = self._free.get(timeout=BREATH)
                break
            report({})
        try:
            yield device
        finally:
            self._free.put(device)


def _write_request(spec: Spec, model: Model, work: Path) -> None:
    told = {
        "name": spec.name,
        "instance_prompt": spec.instance_prompt,
        "steps": spec.steps,
        "learning_rate": spec.learning_rate,
        "dataset": str(spec.dataset.path),
        "dataset_sha256": spec.dataset.sha256,
        "model": str(model.folder),
        "model_name": model.name,
        **parameters.complete(spec.parameters),
    }
    (work / "request.json").write_text(json.dumps(told, indent=1), encoding="utf-8")


def _until_done(work: Path, device: str, report: Report) -> None:
    """Start the child, and again if it dies; give up when it dies in the same place for the third time."""
    deaths, reached = 0, _checkpoint(work)
    while True:
        code = _run(work, device, report)
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
    if code == -signal.SIGKILL:
        return f"{times} It was killed from outside, most likely because memory ran out. {MEMORY_ADVICE}"
    lines = (work / "log.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return f"{times} It ended with {code}: {lines[-1][:300] if lines else 'it said nothing'}"


def _run(work: Path, device: str, report: Report) -> int:
    """One life of the child: its exit code. Raises TrainingFailed with the reason that it gave itself."""
    environment = {name: value for name, value in env.whole().items() if name.startswith(HANDED_ON)}
    environment |= {"CUDA_VISIBLE_DEVICES": device, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    with (work / "log.txt").open("ab") as log:
        child = subprocess.Popen(  # nosec B603  # our own module and folder
            [sys.executable, "-m", "finetune_portal.engine.trainers.lora", str(work)],
            cwd=env.ROOT,
            env=environment,
            stdin=subprocess.PIPE,  # its end tells the child that the engine is gone
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    try:
        _listen(child, report)
        return child.wait()
    finally:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.communicate()


def _listen(child: subprocess.Popen[bytes], report: Report) -> None:
    lines: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(child.stdout, lines), daemon=True).start()
    while True:
        try:
            event = lines.get(timeout=BREATH)
        except queue.Empty:
            report({})
            continue
        if event is None:
            return
        report(event)
        if event.get("event") == "failed":
            raise TrainingFailed(str(event["says"]))


def _read(stdout: IO[bytes], lines: queue.SimpleQueue[Event | None]) -> None:
    """Each line of the child as an event; what is no JSON is some library's chatter."""
    with suppress(ValueError, OSError):  # the pipe was closed while we waited
        for line in stdout:
            with suppress(ValueError):
                if isinstance(event := json.loads(line), dict):
                    lines.put(event)
    lines.put(None)
