"""Datasets of the fixture, made by the worker's steps of release 35ee960 (see `make.py`)."""

from __future__ import annotations

import hashlib
import io
import random
import zipfile
from typing import Any

from django.utils.timezone import now
from PIL import Image

from finetune_portal.datasets import library, versions
from finetune_portal.datasets import services as datasets
from finetune_portal.datasets.models import Carry, Dataset
from finetune_portal.worker import lanes


class Makes:
    """What all steps need, and what the test is to find of it."""

    def __init__(self, people: dict[str, Any], connections: dict[str, Any], vendor: Any, studio: Any) -> None:
        self.alice, self.bob, self.ada = people["alice"], people["bob"], people["ada"]
        self.engine, self.vendor, self.studio = (connections[name] for name in ("engine", "vendor", "studio"))
        self.fakes = {self.vendor.pk: vendor, self.studio.pk: studio}
        self.datasets: dict[str, Any] = {}
        self.facts: dict[str, Any] = {}


def picture(seed: int, edge: int = 32) -> bytes:
    """Noise on one colour: small, and no two alike."""
    drawn = random.Random(seed)
    image = Image.new("RGB", (edge, edge), (seed * 37 % 256, seed * 91 % 256, 120))
    for _ in range(edge * 2):
        image.putpixel((drawn.randrange(edge), drawn.randrange(edge)), (drawn.randrange(256), 0, 200))
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def zipped(seed: int, pairs: int = 4, edge: int = 32, *, ends: str = "end") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for number in range(1, pairs + 1):
            for part, name in enumerate(("start", ends)):
                info = zipfile.ZipInfo(f"{number:02}_{name}.png", (2026, 1, 1, 0, 0, 0))
                archive.writestr(info, picture(seed * 100 + number * 2 + part, edge))
            archive.writestr(
                zipfile.ZipInfo(f"{number:02}.txt", (2026, 1, 1, 0, 0, 0)), "turn day into night"
            )
    return file.getvalue()


def uploaded(makes: Makes, name: str, content: bytes, *, share: float = 1) -> Any:
    """As by tus, up to this share of its bytes."""
    metadata = "filename bmlnaHQuemlw,filetype YXBwbGljYXRpb24vemlw"
    dataset = datasets.start_upload(
        owner=makes.alice, filename=f"{name}.zip", size=len(content), metadata=metadata
    )
    length = int(len(content) * share)
    dataset.path.write_bytes(content[:length])
    datasets.keep_offset(dataset, length)
    makes.datasets[name] = dataset
    return dataset


def checked() -> None:

    while lanes.make() or lanes.check():
        pass


def carried() -> None:

    while datasets.carry_next():
        pass


def make_datasets(makes: Makes) -> None:
    """Each state, a version, one far away, one deleted, one whose file was cleared away."""
    night = uploaded(makes, "night", zipped(1))
    uploaded(makes, "refused", zipped(2, ends="finish"))
    for name in ("deleted", "cleared", "elsewhere"):
        uploaded(makes, name, zipped(3))
    checked()
    carried()
    night.refresh_from_db()
    makes.datasets["captions"] = versions.with_captions(
        night, {"01": "turn day into a starry night"}, actor=makes.alice
    )
    checked()
    carried()
    library.rename(night, "Night streets", actor=makes.alice)
    library.delete(Dataset.objects.get(name="deleted"), actor=makes.alice)
    cleared = Dataset.objects.get(name="cleared")
    Dataset.objects.filter(pk=cleared.pk).update(file_gone=now())
    cleared.path.unlink()
    far = {"source_url": "https://files.example/elsewhere.zip", "filename": "elsewhere.zip"}
    Dataset.objects.filter(name="elsewhere").update(**far)
    Carry.objects.filter(dataset__name="elsewhere").delete()
    makes.datasets["elsewhere"].path.unlink()
    whole = zipped(4, pairs=6)
    half = uploaded(makes, "half", whole, share=0.5)
    makes.facts["half"] = {
        "key": str(half.key),
        "sent": half.received,
        "size": len(whole),
        "seed": 4,
        "pairs": 6,
    }
    makes.facts["half"]["sha256"] = sha256(whole)
    makes.facts["half"]["rest"] = whole[half.received :].hex()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
