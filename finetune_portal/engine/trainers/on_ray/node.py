"""What runs on the node: the child that trains, in a folder of its own, and the way of its files.

They come from the engine's storage and go there, by signed addresses. The node knows no key.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any, BinaryIO

from finetune_portal.engine import fetch
from finetune_portal.engine.trainers import children, model_folder
from finetune_portal.engine.trainers.children import Event

ENDED = "ended"  # the last event: the child's exit code, and the end of its log
LOG = 20_000
PREFIX = "finetune-portal-"  # of the folders
SILENCE_SECONDS = 60.0


class NoFiles(Exception):
    """Why the node cannot reach the files of its training, in a sentence for the operator."""


@dataclass(frozen=True)
class Files:
    """The folder of a training in the engine's storage, and what to sign reading and writing with."""

    url: str
    read: str
    write: str

    def fetch(self, name: str, into: Path) -> bool:
        """False if there is no such file."""
        with self._call("GET", name, self.read) as answer:
            if answer.status == 404:
                return False
            with (into / name).open("wb") as file:
                shutil.copyfileobj(answer, file, 1024**2)
                if file.tell() != int(answer.headers["Content-Length"]):
                    raise fetch.FetchFailed("The file ended early.")
        return True

    def send(self, name: str, file: BinaryIO) -> None:
        headers = {"Content-Length": str(os.fstat(file.fileno()).st_size)}
        with self._call("PUT", name, self.write, headers=headers, body=file):
            pass

    @contextmanager
    def _call(self, method: str, name: str, query: str, **options: Any) -> Iterator[http.client.HTTPResponse]:
        url = f"{self.url}/{name}?{query}"
        try:
            with fetch.call(method, url, allow=None, timeout=SILENCE_SECONDS, **options) as answer:
                if answer.status not in (200, 404):
                    raise fetch.FetchFailed(f"The answer was {answer.status}.")
                yield answer
        except fetch.FetchFailed as failed:
            raise NoFiles(
                f"The node {socket.gethostname()} has no way to the engine's files at {self.url}. {failed} "
                "ENGINE_URL must be an address of the engine that every node reaches."
            ) from None


def live(request: Mapping[str, Any], files: Files) -> Iterator[Event]:
    """One life of the child, from the last checkpoint on: what it tells, and then how it ended."""
    try:
        model_folder.look(Path(request["model"]))
    except model_folder.NoModel as wrong:
        yield {
            "event": "failed",
            "says": f"The node {socket.gethostname()} cannot train: {wrong} "
            "The folder that KONTEXT_MODEL_DIR names must be on every node.",
        }
        return
    with _scratch() as work:
        (work / "request.json").write_text(json.dumps(request), encoding="utf-8")
        for name in ("dataset.zip", "checkpoint.pt"):
            files.fetch(name, work)
        log = work / "log.txt"
        child = children.start("lora", work, device=os.environ.get("CUDA_VISIBLE_DEVICES", ""), log=log)
        try:
            for event in iter(children.events(child).get, None):
                _send_results(event, work, files)
                yield event
            code = child.wait()
        finally:
            children.end(child)
        yield {"event": ENDED, "code": code, "log": log.read_text("utf-8", errors="replace")[-LOG:]}


@contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for one life. Those that killed lives left on this node go first: nobody holds their lock."""
    for left in Path(gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError), (left / "alive").open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(left)
    with TemporaryDirectory(prefix=PREFIX) as folder, (Path(folder) / "alive").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield Path(folder)


def _send_results(event: Event, work: Path, files: Files) -> None:
    """Send the files that an event tells of, before the engine hears of them.

    By the time that we read of a checkpoint the child may have written the next one, and its curve may name
    samples that we have not read of. So all images that are there go first.
    """
    made = {"checkpoint": ["checkpoint.pt"], "sample": [], "done": ["weights.safetensors"]}
    names = made.get(str(event.get("event")))
    if names is None:
        return
    with ExitStack() as stack:
        results = {name: stack.enter_context((work / name).open("rb")) for name in names}
        for image in sorted(work.glob("*.png")):
            with image.open("rb") as file:
                files.send(image.name, file)
            image.unlink()
        for name, file in results.items():
            files.send(name, file)
