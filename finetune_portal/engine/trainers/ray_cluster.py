"""Train on a Ray cluster: Ray finds a node for each training and lets the others wait.

The child (`python -m finetune_portal.engine.trainers.on_ray FOLDER`) asks Ray for a node and passes its
events on. When the node is lost the child dies, and is started again like any other: from the last
checkpoint, wherever Ray has room.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from finetune_portal import env
from finetune_portal.engine.storage import keys, signing
from finetune_portal.engine.trainers import children
from finetune_portal.engine.trainers.devices import CPU, Devices
from finetune_portal.engine.trainers.image_generator import ImageGenerator
from finetune_portal.engine.trainers.lora_trainer import LoraTrainer
from finetune_portal.engine.trainers.model_folder import BaseModel
from finetune_portal.engine.trainers.trainer import TrainingSpec

CONNECT_SECONDS = 5.0
JOIN_SECONDS = 90.0
SIGNED_SECONDS = 7 * 24 * 3600  # for one child; the next gets new signatures


class RayClusterError(Exception):
    """Says what is wrong with RAY_ADDRESS, in a sentence for the operator."""


class RayTrainer(LoraTrainer):
    def __init__(
        self,
        models: Sequence[BaseModel],
        image_generator: ImageGenerator | None,
        resources: dict[str, float],
        *,
        why_no_images: str = "",
    ) -> None:
        is_tiny = all(model.is_tiny for model in models)
        kind = "CPU" if is_tiny and not resources.get("GPU") else "GPU"
        super().__init__(models, Devices([CPU] * max(1, int(resources.get(kind, 0)))), image_generator)
        self.why_no_images = why_no_images
        self._resources = {f"num_{kind.lower()}s": 1}

    def request(self, spec: TrainingSpec, work: Path) -> dict[str, Any]:
        dataset = work / "dataset.zip"
        dataset.unlink(missing_ok=True)
        dataset.hardlink_to(spec.dataset.path)
        return super().request(spec, work) | {"dataset": dataset.name}

    def start_child(self, work: Path, device: str) -> children.Child:
        folder, now = work.relative_to(settings.STORAGE_DIR).as_posix(), timezone.now()
        files = {
            "url": keys.url(settings.URL, folder),
            "read": signing.download_query(settings.SECRET_KEY, folder, now, SIGNED_SECONDS),
            "write": signing.upload_query(settings.SECRET_KEY, folder, now, SIGNED_SECONDS),
        }
        place = {"slot": self._resources, "files": files}
        (work / "cluster.json").write_text(json.dumps(place), encoding="utf-8")
        return children.start("on_ray", work, device=device, log=work / "log.txt")


def resources(address: str) -> dict[str, float]:
    """What the cluster has, by Ray's names. Raises RayClusterError if this machine cannot join it."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, ValueError, OverflowError):
        raise RayClusterError(
            f"No Ray cluster answers at {address}. It must be the head's host:port, such as 10.0.0.5:6379."
        ) from None
    try:
        child = subprocess.run(  # nosec B603  # our own module
            [sys.executable, "-m", f"{children.PACKAGE}.on_ray"],
            cwd=env.ROOT,
            env=children.environment(CPU),
            capture_output=True,
            text=True,
            timeout=JOIN_SECONDS,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise RayClusterError(
            f"The Ray cluster at {address} did not take this machine in. "
            f"It must be a node of it: ray start --address={address} --num-cpus=0"
        ) from None
    except subprocess.CalledProcessError as error:
        line = error.stderr.strip().splitlines()[-1]
        raise RayClusterError(f"The Ray cluster at {address}: {line}") from None
    cluster: dict[str, float] = json.loads(child.stdout)["resources"]
    return cluster
