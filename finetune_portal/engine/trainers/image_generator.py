"""Pictures by finished models, seen from the engine: one child process that keeps the model in memory.

The child (`lora/generate.py`) has a device of the trainer's, is kept for some minutes after its last picture,
and goes at once when a training waits for the device.
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
from finetune_portal.engine.trainers.model_folder import Model

LINE_SECONDS = 60.0  # how long a picture waits for its turn, and then for a device
PAINT_SECONDS = 200.0
WARM_SECONDS = 300.0
LINE = 4  # pictures that may wait at the same time
SOON = 30


@dataclass(frozen=True)
class Order:
    """One picture to make. `strength` of the LoRA: 0 is the base model."""

    weights: Path
    strength: float
    prompt: str
    picture: bytes
    seed: int
    steps: int
    guidance: float
    kind: str  # PNG or JPEG


class NoPlace(Exception):
    """Why it cannot be made now, though it can be soon, in a sentence."""


class PaintingFailed(Exception):
    """Why it was not made, in a sentence."""


class Painter:
    def __init__(self, model: Model, devices: Devices, *, log: Path, patience: float = LINE_SECONDS) -> None:
        self.model = model
        self._devices, self._log, self._patience = devices, log, patience
        self._line = threading.BoundedSemaphore(LINE)
        self._turn = threading.Lock()  # who holds it may touch what follows
        self._child: children.Child | None = None
        self._events: children.Events = queue.SimpleQueue()
        self._device = ""
        self._numbers = itertools.count()
        self._timer = threading.Timer(0, self.let_go)

    def paint(self, order: Order) -> bytes:
        """The finished picture. Raises NoPlace or PaintingFailed."""
        if not self._line.acquire(blocking=False):
            raise NoPlace("Too many pictures wait to be made.")
        try:
            if not self._turn.acquire(timeout=self._patience):
                raise NoPlace("Other pictures are being made.")
            try:
                return self._paint(order)
            finally:
                self._keep_warm()
                self._turn.release()
        finally:
            self._line.release()

    def let_go(self) -> None:
        """End the child if it is at nothing, so that its device is free."""
        if self._turn.acquire(blocking=False):
            try:
                self._end()
            finally:
                self._turn.release()

    def _paint(self, order: Order) -> bytes:
        self._timer.cancel()
        if self._child is None or self._child.poll() is not None:
            self._end()
            self._begin()
        number = next(self._numbers)
        self._say({**asdict(order), "number": number})
        latest = time.monotonic() + PAINT_SECONDS
        while True:
            try:
                event = self._events.get(timeout=max(0.0, latest - time.monotonic()))
            except queue.Empty:
                raise NoPlace("The model is still being loaded.") from None
            if event is None:
                self._end()
                said = children.last_words(self._log)
                raise PaintingFailed(f"The process that runs the model came to an end: {said}")
            if event.get("number") != number:  # of an order that was given up
                continue
            if "says" in event:
                raise PaintingFailed(str(event["says"]))
            return base64.b64decode(event["picture"])

    def _begin(self) -> None:
        device = self._devices.take(self._patience, unless_wanted=True)
        if device is None:
            raise NoPlace("Trainings have all of this engine's hardware at the moment.")
        self._log.unlink(missing_ok=True)
        try:
            self._child = children.start("lora.generate", self.model.folder, device=device, log=self._log)
        except OSError:
            self._devices.give(device)
            raise
        self._device, self._events = device, children.events(self._child)

    def _say(self, order: dict[str, object]) -> None:
        told = order | {
            "weights": str(order["weights"]),
            "picture": base64.b64encode(order["picture"]).decode(),  # type: ignore[arg-type]
        }
        stdin = self._child.stdin if self._child else None
        with suppress(OSError):  # it is dead, and its events say so
            if stdin:
                stdin.write(json.dumps(told).encode() + b"\n")
                stdin.flush()

    def _keep_warm(self) -> None:
        if self._devices.is_wanted:
            self._end()
        else:
            self._timer = threading.Timer(WARM_SECONDS, self.let_go)
            self._timer.daemon = True
            self._timer.start()

    def _end(self) -> None:
        if self._child:
            children.end(self._child)
            self._child = None
            self._devices.give(self._device)
