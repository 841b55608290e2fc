"""Generate images with finished models, seen from the engine: one child process keeps one model in memory.

The child (`lora/generate.py`) takes a device from the trainer's pool. It is kept for some minutes after its
last image, and ends at once when a training waits for the device.
"""

from __future__ import annotations

import base64
import itertools
import json
import queue
import threading
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from finetune_portal.engine.trainers import children
from finetune_portal.engine.trainers.devices import Devices
from finetune_portal.engine.trainers.model_folder import BaseModel

WAIT_SECONDS = 60.0  # how long a request waits for its turn, and then for a device
GENERATE_SECONDS = 200.0
WARM_SECONDS = 300.0
MAX_WAITING = 4  # requests at the same time
RETRY_SECONDS = 30


@dataclass(frozen=True)
class GenerateRequest:
    """One image to generate. A `strength` of 0 is the base model without the LoRA."""

    weights: Path
    strength: float
    prompt: str
    picture: bytes  # the input image, encoded
    seed: int
    steps: int
    guidance: float
    kind: str  # PNG or JPEG


class GeneratorBusyError(Exception):
    """Says why the image cannot be generated now, though it can be soon, in a sentence."""


class GenerationError(Exception):
    """Says why the image was not generated, in a sentence."""


class ImageGenerator:
    def __init__(
        self,
        devices: Devices,
        *,
        log: Path,
        wait_seconds: float = WAIT_SECONDS,
        generate_seconds: float = GENERATE_SECONDS,
    ) -> None:
        self._devices, self._log = devices, log
        self._wait_seconds, self._generate_seconds = wait_seconds, generate_seconds
        self._waiting = threading.BoundedSemaphore(MAX_WAITING)
        self._turn = threading.Lock()  # its holder may use all attributes below
        self._child: children.Child | None = None
        self._events: children.Events = queue.SimpleQueue()
        self._device = ""
        self._folder = Path()  # of the model that the child has in memory
        self._is_loading = False  # until the child's first answer
        self._numbers = itertools.count()
        self._timer = threading.Timer(0, self.release_device)

    def generate(self, request: GenerateRequest, model: BaseModel) -> bytes:
        """The encoded image of a LoRA on this model. Raises GeneratorBusyError or GenerationError."""
        if not self._waiting.acquire(blocking=False):
            raise GeneratorBusyError("Too many pictures wait to be made.")
        try:
            if not self._turn.acquire(timeout=self._wait_seconds):
                raise GeneratorBusyError("Other pictures are being made.")
            try:
                return self._generate(request, model.folder)
            finally:
                self._keep_warm()
                self._turn.release()
        finally:
            self._waiting.release()

    def release_device(self) -> None:
        """End the child unless it is at work, so that its device is free."""
        if self._turn.acquire(blocking=False):
            try:
                self._end_child()
            finally:
                self._turn.release()

    def _generate(self, request: GenerateRequest, folder: Path) -> bytes:
        self._timer.cancel()
        is_alive = self._child is not None and self._child.poll() is None
        if is_alive and self._folder != folder and self._is_loading and self._events.empty():
            raise GeneratorBusyError("Another model is still being loaded.")  # it would never come to run
        if not is_alive or self._folder != folder:
            self._end_child()
            self._start_child(folder)
        number = next(self._numbers)
        self._send(request, number)
        deadline = time.monotonic() + self._generate_seconds
        while True:
            try:
                event = self._events.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise GeneratorBusyError("The model is still being loaded.") from None
            if event is None:
                self._end_child()
                line = children.last_log_line(self._log)
                raise GenerationError(f"The process that runs the model came to an end: {line}")
            self._is_loading = False
            if event.get("number") != number:  # of a request that was given up
                continue
            if message := children.failure_message(event):
                raise GenerationError(message)
            return base64.b64decode(event["picture"])

    def _start_child(self, folder: Path) -> None:
        device = self._devices.take(self._wait_seconds, unless_training_waits=True)
        if device is None:
            raise GeneratorBusyError("Trainings have all of this engine's hardware at the moment.")
        self._log.unlink(missing_ok=True)
        try:
            self._child = children.start("lora.generate", folder, device=device, log=self._log)
        except OSError:
            self._devices.give_back(device)
            raise
        self._device, self._folder, self._is_loading = device, folder, True
        self._events = children.read_events(self._child)

    def _send(self, request: GenerateRequest, number: int) -> None:
        message = {
            **asdict(request),
            "number": number,
            "weights": str(request.weights),
            "picture": base64.b64encode(request.picture).decode(),
        }
        stdin = self._child.stdin if self._child else None
        with suppress(OSError):  # the child is dead, and its events say so
            if stdin:
                stdin.write(json.dumps(message).encode() + b"\n")
                stdin.flush()

    def _keep_warm(self) -> None:
        if self._devices.has_waiting_training:
            self._end_child()
        else:
            self._timer = threading.Timer(WARM_SECONDS, self.release_device)
            self._timer.daemon = True
            self._timer.start()

    def _end_child(self) -> None:
        if self._child:
            children.kill(self._child)
            self._child = None
            self._devices.give_back(self._device)
