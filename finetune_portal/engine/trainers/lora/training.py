"""One training, from its request to its LoRA: encode once, step, validate, save checkpoints.

Noise and order depend on the seed and the step's number alone, so a training that was killed and goes on from
a checkpoint ends with the same weights as one that was not.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import torch

from finetune_portal.engine import datasets, room
from finetune_portal.engine.trainers import memory
from finetune_portal.engine.trainers.families.examples import Batch, Size
from finetune_portal.engine.trainers.families.loading import load_family
from finetune_portal.engine.trainers.lora.dataset import batches_per_epoch, epoch_batches, load_examples
from finetune_portal.engine.trainers.lora.distributed import ProcessGroup
from finetune_portal.engine.trainers.lora.learner import Learner
from finetune_portal.engine.trainers.lora.save import Facts, save_lora
from finetune_portal.engine.trainers.lora.sigmas import VALIDATION_SIGMAS, schedule_weights, weighted

Emit = Callable[..., None]
HOLD_OUT_FROM = 3  # pairs; with fewer, all are trained on, and the first one is validated all the same
ROOM_SECONDS = 10.0  # between two tries to write the LoRA to a full disk


class DivergedError(Exception):
    """Says at which step a loss was no finite number, and what to do, in sentences for the job's owner."""


class Training:
    """`work` is the folder of the training, `emit` reports an event by its name and fields."""

    def __init__(self, work: Path, request: Mapping[str, Any], emit: Emit, group: ProcessGroup) -> None:
        self.work, self.request, self.group = work, request, group
        self.emit = emit if group.is_first else _emit_nothing
        self.steps: int = request["steps"]
        self.seed: int = request["seed"]
        self.recent_seconds: deque[float] = deque(maxlen=20)
        # Pairs of a step and its value, from the first step on. A checkpoint keeps them, and the next start
        # reports them: the engine may have stopped before it read the lines that were written by then.
        names = ("loss", "held_out", "held_out_weighted", "samples")
        self.curve: dict[str, list[list[Any]]] = {name: [] for name in names}

    def prepare(self) -> None:
        """Load the model, encode the dataset, add the LoRA. Takes minutes with a model of full size."""
        request = self.request
        self._report_phase("Reading the dataset")
        way = memory.choose_to_resume(request["memory"], self._read_checkpoint())
        self.model = load_family(Path(request["model"]), memory=way)
        self.resolution: int = request["resolution"] or self.model.resolution
        with datasets.opened(self.work / request["dataset"], sha256=request["dataset_sha256"]) as file:
            self._encode_dataset(file)
        self.batches_per_epoch = batches_per_epoch(self.sizes, batch_size=request["batch_size"])
        words = "" if self.model.memory == memory.FULL else f" {memory.WORDS[self.model.memory]}"
        self._report_phase(f"Loading the model{words}")
        lora = {name: request[name] for name in ("rank", "alpha", "seed")}
        # A training that an earlier release began has no modulation, and ends as it began.
        layers = self.model.lora_layers(
            feed_forward=request["feed_forward"], modulation=request.get("modulation", False)
        )
        self.transformer = self.model.load_transformer(**lora, layers=layers)
        optimizer = self.model.optimizer(self.transformer, request["learning_rate"])
        self.learner = Learner(
            type(self.model),
            self.transformer,
            optimizer,
            request,
            self.model.dtype,
            self.group,
            self.model.shift_sigmas,
        )

    def _encode_dataset(self, file: BinaryIO) -> None:
        prompt = self.request["instance_prompt"]
        instructions = datasets.instructions(file, instance_prompt=prompt)
        self.pair_count = len(instructions)
        self._report_phase(f"Encoding {self.pair_count} pair{'s' * (self.pair_count > 1)}")
        pairs = datasets.pairs(file, instance_prompt=prompt)
        examples = load_examples(
            pairs,
            resolution=self.resolution,
            multiple=self.model.multiple,
            most_area=self.model.most_area,
            why_not=self.model.why_not,
            input_size=self.model.input_size,
        )
        self.is_held_out = self.request["hold_out"] and self.pair_count >= HOLD_OUT_FROM
        self.encoded: list[Batch] = []
        self.sizes: list[tuple[Size, ...]] = []
        for number, (example, batch) in enumerate(self.model.encode(instructions, examples)):
            if number == 0:
                self.validation_example, self.validation_batch = example, batch
            if number or not self.is_held_out:
                self.encoded.append(batch)
                self.sizes.append(example.sizes)

    def run(self) -> None:
        """Train from the last checkpoint on, and write the LoRA."""
        self.prepare()
        done = self.load_checkpoint()
        self._report_start(done)
        self._report_phase(f"Going on from step {done}" if done else "Making the first sample")
        if done == 0:
            self.validate(0)
        for step in range(done, self.steps):
            began = time.monotonic()
            loss = self.learner.step(step, self.batches(step))
            self._check_loss(step + 1, loss)
            self._report_step(step + 1, loss, time.monotonic() - began)
            if self._is_validated(step + 1):
                self.validate(step + 1)
            if (step + 1) % self.request["checkpoint_steps"] == 0:
                self.save_checkpoint(step + 1)
        self._report_phase("Writing the model file")
        self.save_lora()
        self.emit("done", step=self.steps)

    def batches(self, step: int) -> list[Batch]:
        """What this process trains on in a step, on the device."""
        # A training that an earlier release began has no such parameter.
        count: int = self.request.get("gradient_accumulation_steps", 1)
        return [self.batch(step * count + number) for number in range(count)]

    def batch(self, number: int) -> Batch:
        """Batch `number` of this process, on the device."""
        epoch, index = divmod(self.group.batch_number(number), self.batches_per_epoch)
        size = self.request["batch_size"]
        indices = epoch_batches(self.sizes, batch_size=size, seed=self.seed, epoch=epoch)[index]
        return Batch.concatenate([self.encoded[each] for each in indices]).to(self.model.device)

    def validate(self, step: int) -> None:
        """Report the loss on the validation pair, always with the same noise, and a sample of it."""
        if not self.group.is_first:
            return
        if step:
            self._report_phase(f"Making the sample of step {step}")
        loss, weighted_loss = self._validation_losses()
        self._check_loss(step, loss)
        self.curve["held_out"].append([step, loss])
        self.curve["held_out_weighted"].append([step, weighted_loss])
        self.emit("held_out", step=step, loss=loss, weighted_loss=weighted_loss)
        example, name = self.validation_example, f"sample-{step:06}.png"
        sample = self.model.generate(self.transformer, example, self.validation_batch, seed=self.seed)
        images = {"control.png": example.controls[0], "target.png": example.target, name: sample}
        if all(self._is_written(file, partial(image.save, format="PNG")) for file, image in images.items()):
            self.curve["samples"].append([step, name])
            self.emit("sample", step=step, file=name)

    def save_checkpoint(self, step: int) -> None:
        """Replace the last checkpoint. It stays where there is no room for another one."""
        if not self.group.is_first:
            return
        checkpoint = {
            "request": dict(self.request),
            "step": step,
            "memory": self.model.memory,
            "curve": self.curve,
            "weights": [parameter.detach().cpu() for parameter in self.learner.parameters],
            "optimizer": self.learner.optimizer.state_dict(),
        }
        if self._is_written("checkpoint.pt", partial(torch.save, checkpoint)):
            self.emit("checkpoint", step=step)

    def _is_written(self, name: str, write: Callable[[BinaryIO], Any]) -> bool:
        """Write a file that a training can do without. False where the disk has no room; the log says so."""
        try:
            with room.write_growing(self.work / name) as file:
                write(file)
        except room.NoRoomError:
            self.emit("no_room", message=f"The disk is full: {name} was not written.")
            return False
        return True

    def load_checkpoint(self) -> int:
        """Go on from the checkpoint of this very request; return how many steps are done."""
        checkpoint = self._read_checkpoint()
        if checkpoint is None:
            return 0
        with torch.no_grad():
            for parameter, value in zip(self.learner.parameters, checkpoint["weights"], strict=True):
                parameter.copy_(value)
        self.learner.optimizer.load_state_dict(checkpoint["optimizer"])
        self.curve |= checkpoint.get("curve", {})  # a checkpoint of an earlier version has none, or not all
        return int(checkpoint["step"])

    def _read_checkpoint(self) -> dict[str, Any] | None:
        """The checkpoint of this very request, on the CPU; None if there is none."""
        path = self.work / "checkpoint.pt"
        if not path.exists():
            return None
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return checkpoint if checkpoint["request"] == dict(self.request) else None

    def save_lora(self) -> None:
        """Write the LoRA as soon as the disk has room for it: it is what the training was for."""
        if not self.group.is_first:
            return
        is_waiting = False
        while True:
            try:
                self._write_lora()
            except room.NoRoomError:
                if not is_waiting:
                    self._report_phase("Waiting for room on the disk for the model file")
                is_waiting = True
                time.sleep(ROOM_SECONDS)
            else:
                return

    def _write_lora(self) -> None:
        held_out = self.curve["held_out"]
        save_lora(
            self.work / "weights.safetensors",
            self.transformer,
            {**self.request, "batch_size": self.request["batch_size"] * self.group.size},
            self.model.metadata,
            Facts(self.pair_count, self.resolution, held_out_loss=held_out[-1][1] if held_out else None),
            dtype=self.model.dtype,
        )

    def _check_loss(self, step: int, loss: float) -> None:
        """Stop at the first loss that is not finite: all weights after it are worthless."""
        if math.isfinite(loss):
            return
        rate = self.request["learning_rate"]
        raise DivergedError(
            f"The loss was no number any more after step {step}: the training diverged and was stopped. "
            f"Try a learning rate below {rate:g}, more warmup_steps, or a smaller gradient_clipping."
            if step
            else "The loss is no number before the first step: the base model does not work on this hardware."
        )

    def _is_validated(self, step: int) -> bool:
        interval = self.request["sample_steps"] or max(1, self.steps // 4)
        return step % interval == 0 or step == self.steps

    def _validation_losses(self) -> tuple[float, float]:
        """The mean over the fixed sigmas, and the mean weighted by the schedule of a sample."""
        batch = self.validation_batch.to(self.model.device)
        generator = torch.Generator().manual_seed(self.seed)
        noise = torch.randn(batch.targets.shape, generator=generator).to(batch.targets)
        sigmas = torch.tensor(VALIDATION_SIGMAS, device=self.model.device)
        with torch.no_grad():
            losses = [float(self.learner.loss(batch, noise, sigma)) for sigma in sigmas.split(1)]
        weights = schedule_weights(self.model.token_count(batch.targets), self.model.shift_sigmas)
        return sum(losses) / len(losses), weighted(losses, weights)

    def _report_phase(self, phase: str) -> None:
        """Say what is done beside the steps, some of which takes minutes with a model of full size."""
        self.emit("phase", phase=phase)

    def _report_start(self, done: int) -> None:
        self.emit(
            "started",
            step=done,
            steps=self.steps,
            device=self.model.device.type,
            base_model=self.request["model_name"],
            pairs=self.pair_count,
            held_out=self.validation_example.name,
            is_held_out=self.is_held_out,
            processes=self.group.size,
            curve=self.curve,
        )

    def _report_step(self, step: int, loss: float, seconds: float) -> None:
        self.recent_seconds.append(seconds)
        seconds_per_step = sum(self.recent_seconds) / len(self.recent_seconds)
        self.curve["loss"].append([step, round(loss, 6)])
        self.emit(
            "step",
            step=step,
            steps=self.steps,
            loss=round(loss, 6),
            rate=self.learner.learning_rate(step - 1),
            seconds_left=round(seconds_per_step * (self.steps - step), 1),
            memory_bytes=self.model.peak_memory(),
        )


def _emit_nothing(event: str, **fields: Any) -> None:
    """Stand in for `emit` in every process but the first."""
