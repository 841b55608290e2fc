"""A trainer that trains nothing: seconds instead of an hour, no GPU, and it says so.

The file it writes has the tensors of a real Kontext LoRA in diffusers' naming, so that whatever reads
one can read this. The `lora_B` matrices are zero: loaded into a model, it leaves every picture as it
was.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finetune_portal.engine.atomic_write import write_atomically
from finetune_portal.engine.trainers.trainer import Report, Spec, file_name

BLOCKS = 19  # double-stream blocks of the FLUX transformer
MODULES = ("to_q", "to_k", "to_v", "to_out.0")
WIDTH = 3072
RANK = 4
BYTES_EACH = 2  # float16

# A float16 is sign, 5 bits of exponent, 10 of mantissa. This table keeps the sign and the mantissa in the
# high one of two random bytes and sets the exponent to 7: each number lies between 2^-8 and 2^-7, like those
# of a fresh lora_A.
_HIGH = bytes((byte & 0x83) | 0x1C for byte in range(256))


@dataclass(frozen=True)
class SimulatedTrainer:
    name: str = "simulated"
    simulated: bool = True
    places: int = 4
    painter: None = None

    def about(self) -> dict[str, Any]:
        return {"trainer": self.name, "simulated": True}

    def seconds(self, steps: int) -> float:
        return 8.0 + steps / 100.0

    def train(self, spec: Spec, work: Path, folder: Path, report: Report) -> Path:
        seed = _seed(spec)
        buffers: dict[str, bytearray] = {}
        for block in range(BLOCKS):
            report({"step": spec.steps * block // BLOCKS, "steps": spec.steps})
            for module in MODULES:
                stem = f"transformer.transformer_blocks.{block}.attn.{module}"
                buffers[f"{stem}.lora_A.weight"] = _small_numbers(seed + stem.encode(), RANK * WIDTH)
                buffers[f"{stem}.lora_B.weight"] = bytearray(RANK * WIDTH * BYTES_EACH)
        report({"step": spec.steps, "steps": spec.steps})
        return _write(folder / file_name(spec.name), _packed(buffers, _metadata(spec)))


def _seed(spec: Spec) -> bytes:
    told = [spec.dataset.sha256, spec.instance_prompt, spec.steps, spec.learning_rate]
    return hashlib.sha256(json.dumps(told).encode()).digest()


def _small_numbers(seed: bytes, count: int) -> bytearray:
    numbers = bytearray(hashlib.shake_128(seed).digest(count * BYTES_EACH))
    numbers[1::2] = numbers[1::2].translate(_HIGH)
    return numbers


def _packed(buffers: dict[str, bytearray], metadata: dict[str, str]) -> bytes:
    """The safetensors format: length of the header, header as JSON, numbers.

    Written here because the library puts the metadata in a random order, and equal trainings must give equal
    files. The tests open the file with the library.
    """
    header: dict[str, object] = {"__metadata__": metadata}
    at = 0
    for name, buffer in buffers.items():
        shape = [RANK, WIDTH] if ".lora_A." in name else [WIDTH, RANK]
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [at, at + len(buffer)]}
        at += len(buffer)
    told = json.dumps(header, separators=(",", ":")).encode()
    told += b" " * (-len(told) % 8)  # the numbers start at a multiple of 8
    return len(told).to_bytes(8, "little") + told + b"".join(buffers.values())


def _metadata(spec: Spec) -> dict[str, str]:
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


def _write(path: Path, content: bytes) -> Path:
    with write_atomically(path) as draft:
        draft.write_bytes(content)
    return path
