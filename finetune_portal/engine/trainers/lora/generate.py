"""Generate images with a base model and its LoRAs, one request at a time.

Run as `python -m finetune_portal.engine.trainers.lora.generate MODEL`. Each line of JSON on standard input is
a request (`Order` in image_generator.py), each on standard output its result. The process ends at once when
standard input does, because then the engine is gone.
"""

from __future__ import annotations

import base64
import json
import os
import queue
import sys
import threading
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from diffusers import FluxKontextPipeline
from PIL import Image, ImageOps

from finetune_portal.engine.datasets import BrokenDataset
from finetune_portal.engine.trainers.families.kontext import Kontext, MissingPackage, ran_out
from finetune_portal.engine.trainers.lora import dataset

ADAPTER = "lora"
MEMORY = "Memory ran out while the picture was made. Try again when nothing else runs on this machine."

Image.MAX_IMAGE_PIXELS = None  # the picture was checked


class Studio:
    """The whole model, and the one LoRA that it wears."""

    def __init__(self, folder: Path) -> None:
        self.model = Kontext(folder, memory="auto")
        self.pipe = FluxKontextPipeline.from_pretrained(
            folder, transformer=self.model.base(), vae=self.model.vae, torch_dtype=self.model.dtype
        )
        self.pipe.set_progress_bar_config(disable=True)
        if self.model.small and self.model.device.type == "cuda":
            self.pipe.enable_model_cpu_offload()
        else:
            self.pipe.to(self.model.device)
        self.worn = ""

    def picture(self, order: dict[str, Any]) -> bytes:
        """In the size that a training would have seen it in."""
        self._wear(order["weights"], order["strength"])
        brought = dataset.opened("input_image", base64.b64decode(order["picture"]))
        size = dataset.bucket(brought.size, resolution=self.model.resolution, multiple=self.model.multiple)
        made = self.pipe(
            image=ImageOps.fit(brought, size, Image.Resampling.LANCZOS),
            prompt=order["prompt"],
            width=size[0],
            height=size[1],
            max_area=size[0] * size[1],
            num_inference_steps=order["steps"],
            guidance_scale=order["guidance"],
            generator=torch.Generator().manual_seed(order["seed"]),
            max_sequence_length=min(512, self.pipe.tokenizer_2.model_max_length),
            _auto_resize=False,
        ).images[0]
        file = BytesIO()
        made.save(file, order["kind"], quality=95)
        return file.getvalue()

    def _wear(self, weights: str, strength: float) -> None:
        if weights != self.worn:
            self.pipe.unload_lora_weights()
            self.worn = ""
            self.pipe.load_lora_weights(weights, adapter_name=ADAPTER)
            self.worn = weights
        if strength:
            self.pipe.enable_lora()
            self.pipe.set_adapters([ADAPTER], [strength])
        else:
            self.pipe.disable_lora()


def main(folder: Path) -> int:
    orders: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(orders,), daemon=True).start()
    studio: Studio | None = None
    while True:
        order = orders.get()
        try:
            studio = studio or Studio(folder)
            picture = studio.picture(order)
        except (BrokenDataset, MissingPackage) as told:
            _tell(order, says=str(told))
        except (MemoryError, RuntimeError) as fault:
            if not ran_out(fault):
                raise
            _tell(order, says=MEMORY)
            return 1  # the next order starts with a process that has all of its memory
        else:
            _tell(order, picture=base64.b64encode(picture).decode())


def _read(orders: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in sys.stdin.buffer:
        orders.put(json.loads(line))
    os._exit(1)


def _tell(order: dict[str, Any], **told: str) -> None:
    sys.stdout.write(json.dumps({"number": order["number"], **told}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
