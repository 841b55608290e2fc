"""List the folders of base models that this engine is given: what each holds, or what it lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management import BaseCommand, CommandError

from finetune_portal.engine.trainers import model_folder
from finetune_portal.engine.trainers.current import both_hold, named_folders

NONE = "Neither KONTEXT_MODEL_DIR nor MODEL_DIRS names a folder: trainings are simulated."
GIGABYTE = 1000**3


class Command(BaseCommand):
    help = "List the base models in KONTEXT_MODEL_DIR and MODEL_DIRS: bytes, licence, and what is missing."
    requires_system_checks = []

    def handle(self, *args: Any, **options: Any) -> None:
        named = named_folders()
        if not named:
            self.stdout.write(NONE)
        is_usable = True
        models: dict[str, model_folder.BaseModel] = {}
        for variable, folder in named:
            try:
                model = model_folder.inspect(model_folder.find(folder))
            except model_folder.ModelFolderError as error:
                self.stdout.write(f"{variable}: {error}")
                is_usable = False
            else:
                self.stdout.write(f"{variable}: {model.folder} holds {_described(model)}.")
                if (first := models.setdefault(model.variant.id, model)) is not model:
                    self.stdout.write(f"{variable}: {both_hold(first, model)}")
                    is_usable = False
        if not is_usable:
            raise CommandError("The engine does not start with these folders.")


def _described(model: model_folder.BaseModel) -> str:
    size = f"{_bytes(model.folder) / GIGABYTE:.3g} GB"
    title = f"{model.variant.title}{', tiny' if model.is_tiny else ''}"
    licence = model.variant.licence or ("no licence of its own" if model.is_tiny else "licence unknown")
    return f"{title} ({model.name}), {size}, {licence}"


def _bytes(folder: Path) -> int:
    return sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
