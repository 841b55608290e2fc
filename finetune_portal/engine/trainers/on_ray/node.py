"""What runs on a node: the child that trains, in a folder of its own, and the transfer of its files.

Files come from the engine's storage and go there by signed URLs. The node has no key.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any, BinaryIO

from finetune_portal.engine import fetch
from finetune_portal.engine.trainers import children, devices, gpu_check, model_folder
from finetune_portal.engine.trainers.children import Event

ENDED = "ended"  # the last event: the child's exit code, and the end of its log
LOG_CHARACTERS = 20_000
PREFIX = "finetune-portal-"  # of the folders
SILENCE_SECONDS = 60.0
ROOM_SECONDS = 10.0  # between two tries to send a file to an engine whose disk is full


class StorageUnreachableError(Exception):
    """Says why the node cannot reach the files of its training, in a sentence for the operator."""


class StorageFullError(Exception):
    """The engine's disk has no room for a file."""


@dataclass(frozen=True)
class Files:
    """The folder of a training in the engine's storage, and the signed queries to read and write it."""

    url: str
    read: str
    write: str

    def download(self, name: str, into: Path) -> bool:
        """Download a file into a folder; False if there is no such file."""
        with self._call("GET", name, self.read) as response:
            if response.status == 404:
                return False
            with (into / name).open("wb") as file:
                shutil.copyfileobj(response, file, 1024**2)
                if file.tell() != int(response.headers["Content-Length"]):
                    raise fetch.FetchError("The file ended early.")
        return True

    def upload(self, name: str, file: BinaryIO) -> None:
        """Send a file from its start. Raises StorageFullError."""
        file.seek(0)
        headers = {"Content-Length": str(os.fstat(file.fileno()).st_size)}
        with self._call("PUT", name, self.write, headers=headers, body=file):
            pass

    @contextmanager
    def _call(self, method: str, name: str, query: str, **options: Any) -> Iterator[fetch.Response]:
        url = f"{self.url}/{name}?{query}"
        try:
            with fetch.call(method, url, allow=None, timeout=SILENCE_SECONDS, **options) as response:
                if response.status == 507:
                    raise StorageFullError
                if response.status not in (200, 404):
                    raise fetch.FetchError(f"The answer was {response.status}.")
                yield response
        except fetch.FetchError as error:
            raise StorageUnreachableError(
                f"The node {socket.gethostname()} has no way to the engine's files at {self.url}. {error} "
                "ENGINE_URL must be an address of the engine that every node reaches."
            ) from None


def train(request: Mapping[str, Any], files: Files) -> Iterator[Event]:
    """Run one child from the last checkpoint on; yield its events, and then how it ended."""
    os.umask(0o077)  # as `env.keep_data_private` has it on the engine's machine
    device = os.environ.get("CUDA_VISIBLE_DEVICES", devices.CPU)
    if reason := _why_not(Path(request["model"]), device):
        yield {"event": "failed", "message": f"The node {socket.gethostname()} cannot train: {reason}"}
        return
    with _scratch_folder() as work:
        (work / "request.json").write_text(json.dumps(request), encoding="utf-8")
        for name in ("dataset.zip", "checkpoint.pt"):
            files.download(name, work)
        log = work / "log.txt"
        # The floor is that of the engine's disk; on a node the training has what there is.
        own_disk = {"DATA_DIR": str(work), "DISK_FLOOR_BYTES": "0"}
        child = children.start("lora", work, device=device, log=log, variables=own_disk)
        try:
            for event in iter(children.read_events(child).get, None):
                yield from send_results(event, work, files)
                yield event
            code = child.wait()
        finally:
            children.kill(child)
        yield {
            "event": ENDED,
            "code": code,
            "log": log.read_text("utf-8", errors="replace")[-LOG_CHARACTERS:],
        }


def _why_not(folder: Path, device: str) -> str:
    """What keeps this node from training the model, as the engine says it of its own machine; or nothing."""
    try:
        model = model_folder.inspect(folder)
        if not model.is_tiny:
            gpu_check.check([device], [model.variant])
    except model_folder.ModelFolderError as error:
        return f"{error} The folders that KONTEXT_MODEL_DIR and MODEL_DIRS name must be on every node."
    except gpu_check.GpuError as error:
        return str(error)
    return ""


@contextmanager
def _scratch_folder() -> Iterator[Path]:
    """Make a folder for one child. First delete those whose owner was killed: nobody holds their lock."""
    for abandoned in Path(gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError), (abandoned / "alive").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(abandoned)
    with TemporaryDirectory(prefix=PREFIX) as folder, (Path(folder) / "alive").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Path(folder)


def send_results(event: Event, work: Path, files: Files) -> Iterator[Event]:
    """Send the files that an event tells of, before the engine hears of them.

    Where the engine's disk has no room, yield that as a phase, and wait.

    By the time that we read of a checkpoint the child may have written the next one, and its curve may name
    samples that we have not read of. So all images that are there go first.
    """
    results = {"sample": [], "checkpoint": ["checkpoint.pt"], "done": ["weights.safetensors"]}
    names = results.get(str(event.get("event")))
    if names is None:
        return
    with ExitStack() as stack:
        opened = {name: stack.enter_context((work / name).open("rb")) for name in names}
        for image in sorted(work.glob("*.png")):
            with image.open("rb") as file:
                yield from _send(image.name, file, files)
            image.unlink()
        for name, file in opened.items():
            yield from _send(name, file, files)


def _send(name: str, file: BinaryIO, files: Files) -> Iterator[Event]:
    while True:
        try:
            return files.upload(name, file)
        except StorageFullError:
            yield {"event": "phase", "phase": "Waiting for room on the engine's disk"}
            time.sleep(ROOM_SECONDS)
