"""One training from its request to its file: encode once, step, measure, keep checkpoints.

What a step draws depends on the seed and its number only, so that a training that was killed and goes on from
a checkpoint ends with the same numbers as one that was not.
"""

from __future__ import annotations

import resource
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from finetune_portal.engine import datasets
from finetune_portal.engine.atomic_write import write_atomically
from finetune_portal.engine.trainers.families.examples import Batch
from finetune_portal.engine.trainers.families.kontext import Kontext
from finetune_portal.engine.trainers.lora import dataset
from finetune_portal.engine.trainers.lora.distributed import Group
from finetune_portal.engine.trainers.lora.learner import Learner
from finetune_portal.engine.trainers.lora.save import save_lora

Tell = Callable[..., None]
MEASURED_AT = tuple((number + 0.5) / 8 for number in range(8))  # sigmas of the held-out loss
HELD_OUT_FROM = 3  # with fewer pairs all are needed, and the first one is measured though it is trained on


def _silent(event: str, **told: Any) -> None:
    pass


class Training:
    def __init__(self, work: Path, request: Mapping[str, Any], tell: Tell, group: Group) -> None:
        self.work, self.request, self.group = work, request, group
        self.tell = tell if group.is_first else _silent
        self.steps: int = request["steps"]
        self.seed: int = request["seed"]
        # Pairs of a step and its value, from the first step on. A checkpoint keeps them, and the next start
        # reports them: the engine may have stopped before it read the lines that were written by then.
        self.curve: dict[str, list[list[Any]]] = {"loss": [], "held_out": [], "samples": []}
        self.model = Kontext(Path(request["model"]), memory=request["memory"])
        pairs = datasets.contents(work / request["dataset"], instance_prompt=request["instance_prompt"])
        resolution = request["resolution"] or self.model.resolution
        examples = dataset.examples(pairs, resolution=resolution, multiple=self.model.multiple)
        encoded = self.model.encoded(examples)
        self.pairs = len(examples)
        self.held, self.held_out = examples[0], encoded[0]
        self.is_held_out = request["hold_out"] and self.pairs >= HELD_OUT_FROM
        used = slice(1, None) if self.is_held_out else slice(None)
        self.encoded = encoded[used]
        self.sizes = [each.target.size for each in examples[used]]
        kinds = {name: request[name] for name in ("rank", "alpha", "feed_forward", "seed")}
        self.transformer = self.model.transformer(**kinds)
        optimizer = self.model.optimizer(self.transformer, request["learning_rate"])
        self.learner = Learner(self.transformer, optimizer, request, self.model.dtype, group)

    def run(self) -> None:
        done = self._resume()
        self.tell(
            "started",
            step=done,
            steps=self.steps,
            device=self.model.device.type,
            base_model=self.request["model_name"],
            pairs=self.pairs,
            held_out=self.held.name,
            is_held_out=self.is_held_out,
            processes=self.group.size,
            curve=self.curve,
        )
        if done == 0:
            self._measure(0)
        every = self.request["sample_steps"] or max(1, self.steps // 4)
        seconds: deque[float] = deque(maxlen=20)
        for step in range(done, self.steps):
            begun = time.monotonic()
            loss = self.learner.step(step, self._batch(step))
            seconds.append(time.monotonic() - begun)
            self._tell_step(step + 1, loss, sum(seconds) / len(seconds))
            if (step + 1) % every == 0 or step + 1 == self.steps:
                self._measure(step + 1)
            if (step + 1) % self.request["checkpoint_steps"] == 0:
                self._keep(step + 1)
        self._write()
        self.tell("done", step=self.steps)

    def _batch(self, step: int) -> Batch:
        size, number = self.request["batch_size"], self.group.number(step)
        first = dataset.batches(self.sizes, batch_size=size, seed=self.seed, epoch=0)
        epoch, at = divmod(number, len(first))
        numbers = dataset.batches(self.sizes, batch_size=size, seed=self.seed, epoch=epoch)[at]
        parts = zip(*(self.encoded[number] for number in numbers), strict=True)
        return Batch(*(torch.cat(part).to(self.model.device) for part in parts))

    def _measure(self, step: int) -> None:
        """The loss on the held-out pair, with the same noise each time, and what the model makes of it."""
        if not self.group.is_first:
            return
        batch = Batch(*(each.to(self.model.device) for each in self.held_out))
        drawn = torch.Generator().manual_seed(self.seed)
        noise = torch.randn(batch.targets.shape, generator=drawn).to(batch.targets)
        sigmas = torch.tensor(MEASURED_AT, device=self.model.device)
        with torch.no_grad():
            losses = [float(self.learner.loss(batch, noise, sigma)) for sigma in sigmas.split(1)]
        mean = sum(losses) / len(losses)
        self.curve["held_out"].append([step, mean])
        self.tell("held_out", step=step, loss=mean)
        size = self.held.target.size
        sample = self.model.picture(self.transformer, self.held_out, size=size, seed=self.seed)
        name = f"sample-{step:06}.png"
        images = {"control.png": self.held.control, "target.png": self.held.target, name: sample}
        for file, image in images.items():
            with write_atomically(self.work / file) as draft:
                image.save(draft, "PNG")
        self.curve["samples"].append([step, name])
        self.tell("sample", step=step, file=name)

    def _tell_step(self, step: int, loss: float, seconds: float) -> None:
        if self.model.device.type == "cuda":
            memory = torch.cuda.max_memory_allocated()
        else:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        self.curve["loss"].append([step, round(loss, 6)])
        self.tell(
            "step",
            step=step,
            steps=self.steps,
            loss=round(loss, 6),
            rate=self.learner.rate(step - 1),
            seconds_left=round(seconds * (self.steps - step), 1),
            memory_bytes=memory,
        )

    def _write(self) -> None:
        if self.group.is_first:
            save_lora(
                self.work / "weights.safetensors",
                self.transformer,
                {**self.request, "batch_size": self.request["batch_size"] * self.group.size},
                pairs=self.pairs,
                dtype=self.model.dtype,
            )

    def _keep(self, step: int) -> None:
        if not self.group.is_first:
            return
        kept = {
            "request": dict(self.request),
            "step": step,
            "curve": self.curve,
            "weights": [each.detach().cpu() for each in self.learner.trained],
            "optimizer": self.learner.optimizer.state_dict(),
        }
        with write_atomically(self.work / "checkpoint.pt") as draft:
            torch.save(kept, draft)
        self.tell("checkpoint", step=step)

    def _resume(self) -> int:
        """The steps that are done already: those of a checkpoint of this very request."""
        path = self.work / "checkpoint.pt"
        if not path.exists():
            return 0
        kept = torch.load(path, map_location="cpu", weights_only=True)
        if kept["request"] != dict(self.request):
            return 0
        with torch.no_grad():
            for parameter, value in zip(self.learner.trained, kept["weights"], strict=True):
                parameter.copy_(value)
        self.learner.optimizer.load_state_dict(kept["optimizer"])
        self.curve = kept.get("curve", self.curve)  # a checkpoint of an earlier version has none
        return int(kept["step"])
