"""Simulate a training: seconds instead of an hour, no GPU, and everything it makes says so.

The file has the tensors of a real Kontext LoRA in diffusers' naming, so that whatever reads one can read
this. The `lora_B` matrices are zero: loaded into a model, the file changes no image.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune_portal.engine import room
from finetune_portal.engine.trainers.trainer import Report, TrainingSpec, file_name

BLOCKS = 19  # double-stream blocks of the FLUX transformer
MODULES = ("to_q", "to_k", "to_v", "to_out.0")
WIDTH = 3072
RANK = 4
BYTES_EACH = 2  # float16

# A float16 has a sign, 5 bits of exponent and 10 of mantissa. For the high one of two random bytes this table
# keeps sign and mantissa and sets the exponent to 7: each number lies between 2^-8 and 2^-7, like those of a
# fresh lora_A.
_HIGH = bytes((byte & 0x83) | 0x1C for byte in range(256))


@dataclass(frozen=True)
class SimulatedTrainer:
    name: str = "simulated"
    is_simulated: bool = True
    slots: int = 4
    models: tuple[()] = ()
    image_generator: None = None
    why_no_images = "This engine runs without MODEL_DIRS, so it has no model to put the LoRA on."

    def about(self, base_model: str = "") -> dict[str, Any]:
        return {"trainer": self.name, "simulated": True}

    def delay_seconds(self, steps: int) -> float:
        return 8.0 + steps / 100.0

    def train(self, spec: TrainingSpec, work: Path, folder: Path, report: Report) -> Path:
        seed = _seed(spec)
        buffers: dict[str, bytearray] = {}
        for block in range(BLOCKS):
            report({"step": spec.steps * block // BLOCKS, "steps": spec.steps})
            for module in MODULES:
                stem = f"transformer.transformer_blocks.{block}.attn.{module}"
                buffers[f"{stem}.lora_A.weight"] = _small_numbers(seed + stem.encode(), RANK * WIDTH)
                buffers[f"{stem}.lora_B.weight"] = bytearray(RANK * WIDTH * BYTES_EACH)
        report({"step": spec.steps, "steps": spec.steps})
        path = folder / file_name(spec.name)
        content = _safetensors(buffers, _metadata(spec))
        with room.write_announced(path, len(content)) as file:
            file.write(content)
        return path


def _seed(spec: TrainingSpec) -> bytes:
    inputs = [spec.dataset.sha256, spec.instance_prompt, spec.steps, spec.learning_rate]
    return hashlib.sha256(json.dumps(inputs).encode()).digest()


def _small_numbers(seed: bytes, count: int) -> bytearray:
    numbers = bytearray(hashlib.shake_128(seed).digest(count * BYTES_EACH))
    numbers[1::2] = numbers[1::2].translate(_HIGH)
    return numbers


def _safetensors(buffers: dict[str, bytearray], metadata: dict[str, str]) -> bytes:
    """Encode the safetensors format: length of the header, header as JSON, numbers.

    The library puts the metadata in a random order, but equal trainings must give equal files. The tests open
    the file with the library.
    """
    header: dict[str, object] = {"__metadata__": metadata}
    at = 0
    for name, buffer in buffers.items():
        shape = [RANK, WIDTH] if ".lora_A." in name else [WIDTH, RANK]
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [at, at + len(buffer)]}
        at += len(buffer)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # the numbers start at a multiple of 8
    return len(text).to_bytes(8, "little") + text + b"".join(buffers.values())


def _metadata(spec: TrainingSpec) -> dict[str, str]:
    return {
        "simulated": "true",
        "note": "Written by the simulated trainer of the local engine. Nothing was learned from the dataset.",
        "base_model": "black-forest-labs/FLUX.1-Kontext-dev",
        "theme": "KONTEXT",
        "rank": str(RANK),
        "steps": str(spec.steps),
        "learning_rate": repr(spec.learning_rate),
        "instance_prompt": spec.instance_prompt,
        "pairs": str(spec.dataset.pairs),
        "dataset_sha256": spec.dataset.sha256,
        "name": spec.name,
    }
