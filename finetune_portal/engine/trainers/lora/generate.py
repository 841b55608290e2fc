"""Generate images with a base model and its LoRAs, one request at a time.

Run as `python -m finetune_portal.engine.trainers.lora.generate MODEL`. Each line of JSON on standard input is
a `GenerateRequest` (image_generator.py), each on standard output its result. The process ends at once when
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

from PIL import Image, ImageOps

from finetune_portal.engine.images import pixels
from finetune_portal.engine.images.errors import ImageError
from finetune_portal.engine.trainers.children import lower_priority
from finetune_portal.engine.trainers.families.family import MissingPackageError, is_out_of_memory
from finetune_portal.engine.trainers.families.loading import load_family
from finetune_portal.engine.trainers.lora.dataset import bucket_size

ADAPTER = "lora"
OUT_OF_MEMORY = "Memory ran out while the picture was made. Try again when nothing else runs on this machine."


class LoraError(Exception):
    """Says that a LoRA cannot be loaded, in a sentence."""


class Pipeline:
    """The whole model, and the one LoRA that is loaded into it."""

    def __init__(self, folder: Path) -> None:
        self.model = load_family(folder, memory="auto")
        self.pipe = self.model.load_pipeline()
        self.loaded_lora = ""

    def generate(self, request: dict[str, Any]) -> bytes:
        """The encoded image, in the size that a training would have given the input image."""
        self._set_lora(request["weights"], request["strength"])
        control = pixels.decode(base64.b64decode(request["picture"]))
        size = bucket_size(
            control.size,
            resolution=self.model.resolution,
            multiple=self.model.multiple,
            most_area=self.model.most_area,
        )
        if reason := self.model.why_not(size):
            raise ImageError(f"would be run in {size[0]} x {size[1]} pixels, but {reason}.")
        image = self.model.run(
            self.pipe,
            [ImageOps.fit(control, self.model.input_size(size), Image.Resampling.LANCZOS)],
            size=size,
            **{name: request[name] for name in ("prompt", "steps", "guidance", "seed")},
        )
        file = BytesIO()
        image.save(file, request["kind"], quality=95)
        return file.getvalue()

    def _set_lora(self, weights: str, strength: float) -> None:
        """Load a LoRA unless it is loaded; a strength of 0 is the base model."""
        if weights != self.loaded_lora:
            self.pipe.unload_lora_weights()
            self.loaded_lora = ""
            try:
                self.pipe.load_lora_weights(weights, adapter_name=ADAPTER)
            except (ValueError, RuntimeError) as error:  # of other layers, or of other sizes
                if is_out_of_memory(error):
                    raise
                sys.stderr.write(f"{error}\n")
                raise LoraError("The file of this LoRA does not fit the base model.") from None
            self.loaded_lora = weights
        if strength:
            self.pipe.enable_lora()
            self.pipe.set_adapters([ADAPTER], [strength])
        else:
            self.pipe.disable_lora()


def main(folder: Path) -> int:
    lower_priority()
    pending: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(pending,), daemon=True).start()
    pipeline: Pipeline | None = None
    while True:
        request = pending.get()
        try:
            pipeline = pipeline or Pipeline(folder)
            image = pipeline.generate(request)
        except ImageError as error:
            _answer(request, message=f"input_image {error}")
        except (MissingPackageError, LoraError) as error:
            _answer(request, message=str(error))
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            _answer(request, message=OUT_OF_MEMORY)
            return 1  # the next request starts with a process that has all of its memory
        else:
            _answer(request, picture=base64.b64encode(image).decode())


def _read(pending: queue.SimpleQueue[dict[str, Any]]) -> None:
    for line in sys.stdin.buffer:
        pending.put(json.loads(line))
    os._exit(1)


def _answer(request: dict[str, Any], **fields: str) -> None:
    sys.stdout.write(json.dumps({"number": request["number"], **fields}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
