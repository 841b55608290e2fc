"""The same trainer on a Ray cluster: Ray finds the nodes, and lets wait what has none.

The child here (`python -m finetune_portal.engine.trainers.on_ray FOLDER`) asks for a node and tells what it
hears from there. When the node is lost it dies, and is started again like any child that died: from the last
checkpoint, wherever Ray has room.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from finetune_portal import env
from finetune_portal.engine.storage import keys, signing
from finetune_portal.engine.trainers import children
from finetune_portal.engine.trainers.devices import CPU, Devices
from finetune_portal.engine.trainers.image_generator import Painter
from finetune_portal.engine.trainers.kontext import KontextTrainer
from finetune_portal.engine.trainers.model_folder import Model
from finetune_portal.engine.trainers.trainer import Spec

KNOCK_SECONDS = 5.0
START_SECONDS = 90.0
SIGNED_SECONDS = 7 * 24 * 3600  # of one life of a child; the next gets new addresses


class NoCluster(Exception):
    """What is wrong with RAY_ADDRESS, in a sentence for the operator."""


class RayTrainer(KontextTrainer):
    def __init__(self, model: Model, painter: Painter | None, resources: dict[str, float]) -> None:
        kind = "CPU" if model.tiny and not resources.get("GPU") else "GPU"
        super().__init__(model, Devices([CPU] * max(1, int(resources.get(kind, 0)))), painter)
        self._slot = {f"num_{kind.lower()}s": 1}

    def request(self, spec: Spec, work: Path) -> dict[str, Any]:
        dataset = work / "dataset.zip"
        dataset.unlink(missing_ok=True)
        dataset.hardlink_to(spec.dataset.path)
        return super().request(spec, work) | {"dataset": dataset.name}

    def child(self, work: Path, device: str) -> children.Child:
        folder, now = work.relative_to(settings.STORAGE_DIR).as_posix(), timezone.now()
        files = {
            "url": keys.url(settings.URL, folder),
            "read": signing.download_query(settings.SECRET_KEY, folder, now, SIGNED_SECONDS),
            "write": signing.upload_query(settings.SECRET_KEY, folder, now, SIGNED_SECONDS),
        }
        told = json.dumps({"slot": self._slot, "files": files})
        (work / "cluster.json").write_text(told, encoding="utf-8")
        return children.start("on_ray", work, device=device, log=work / "log.txt")


def resources(address: str) -> dict[str, float]:
    """What the cluster has, by Ray's names. Raises NoCluster if it does not let this machine in."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), KNOCK_SECONDS).close()
    except (OSError, ValueError, OverflowError):
        raise NoCluster(
            f"No Ray cluster answers at {address}. It must be the head's host:port, such as 10.0.0.5:6379."
        ) from None
    try:
        asked = subprocess.run(  # nosec B603  # our own module
            [sys.executable, "-m", f"{children.PACKAGE}.on_ray"],
            cwd=env.ROOT,
            env=children.environment(CPU),
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise NoCluster(
            f"The Ray cluster at {address} did not take this machine in. "
            f"It must be a node of it: ray start --address={address} --num-cpus=0"
        ) from None
    except subprocess.CalledProcessError as failed:
        raise NoCluster(f"The Ray cluster at {address}: {failed.stderr.strip().splitlines()[-1]}") from None
    found: dict[str, float] = json.loads(asked.stdout)["resources"]
    return found
