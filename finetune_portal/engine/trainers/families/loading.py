"""Load the base model of a folder by the family that its model_index.json names."""

from __future__ import annotations

import json
from pathlib import Path

from finetune_portal.engine.trainers import model_folder
from finetune_portal.engine.trainers.families.family import Family
from finetune_portal.engine.trainers.families.klein import Klein
from finetune_portal.engine.trainers.families.kontext import Kontext
from finetune_portal.engine.trainers.families.qwen import Qwen

FAMILIES: dict[str, type[Family]] = {family.pipeline.__name__: family for family in (Kontext, Klein, Qwen)}


def load_family(folder: Path, *, memory: str) -> Family:
    """The base model in a folder that model_folder.py accepts. `memory`: see `parameters.KNOWN`."""
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    needs = model_folder.inspect(folder).variant.needs
    return FAMILIES[index["_class_name"]](folder, memory=memory, needs=needs)
