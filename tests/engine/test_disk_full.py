"""A disk without room above the floor: nothing is stored, and the answer says so."""

from __future__ import annotations

import base64
import errno
import os
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from finetune_portal.engine import progress, room
from finetune_portal.engine.storage import keys, signing
from finetune_portal.engine.trainers.on_ray import node
from tests.conftest import StartEngine
from tests.engine.calling import TIMEOUT, call, image, presigned, reached, started
from tests.running import RunningEngine
from tests.storage.small_disk import MB, small_disk

FLOOR = 30 * MB


def kept(engine: RunningEngine) -> list[Path]:
    folder = engine.data_dir / "engine" / "storage"
    return [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".jsonl"]


def test_nothing_is_stored_below_the_floor(engines: StartEngine) -> None:
    engine = engines(ENGINE_TIME_SCALE="0.2")
    job = started(engine)
    (dataset,) = kept(engine)
    engine.stop()

    engine = engines(data_dir=engine.data_dir, DISK_FLOOR_BYTES=str(2**60))
    put = requests.put(presigned(engine)["presigned_url"], data=b"x" * 1000, timeout=TIMEOUT)
    assert (put.status_code, "<Code>InsufficientStorage</Code>" in put.text) == (507, True)
    data_uri = f"data:image/png;base64,{base64.b64encode(image()).decode()}"
    hosted = call(engine, "POST", "/upload-asset", json={"data_urls": [data_uri]})
    assert (hosted.status_code, hosted.json()["error"]) == (507, "The engine's disk is full.")
    assert reached(engine, job, "FAILED")["error_message"] == "The engine's disk is full."
    assert kept(engine) == [dataset]


def test_a_node_of_a_cluster_waits_for_room(
    engines: StartEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node, "ROOM_SECONDS", 0.1)
    engine = engines(DISK_FLOOR_BYTES=str(2**60))
    content = b"x" * 20 * MB
    (tmp_path / "checkpoint.pt").write_bytes(content)
    results = node.send_results({"event": "checkpoint"}, tmp_path, files_of(engine))
    waiting = {"event": "phase", "phase": "Waiting for room on the engine's disk"}
    assert [next(results), next(results)] == [waiting, waiting]

    engine.stop()
    engine.environment = {**engine.environment, "DISK_FLOOR_BYTES": "0"}
    engine.start()
    assert list(results) == []
    (stored,) = kept(engine)
    assert stored.read_bytes() == content


def files_of(engine: RunningEngine) -> node.Files:
    """The files of a training, as the engine lets a node read and write them."""
    secret = (engine.data_dir / "engine" / "secret-key").read_text()
    folder, now = keys.training_folder(uuid.uuid4()), datetime.now(UTC)
    read = signing.download_query(secret, folder, now, 3600)
    return node.Files(keys.url(engine.url, folder), read, signing.upload_query(secret, folder, now, 3600))


def test_a_file_of_unknown_size_is_whole_or_as_it_was(settings: Any, tmp_path: Path) -> None:
    """A checkpoint, of which torch turns a failing write into an error of its own."""
    settings.DISK_FLOOR_BYTES = FLOOR
    with small_disk(tmp_path / "disk", 60 * MB) as is_mounted:
        if not is_mounted:
            pytest.skip("only root can mount a small disk")
        path = tmp_path / "disk" / "checkpoint.pt"
        with room.write_growing(path) as file:
            file.write(b"x" * 3_000_001)
        assert path.stat().st_size == 3_000_001
        with pytest.raises(room.NoRoomError):
            fill(path)
        assert path.read_bytes() == b"x" * 3_000_001
        assert list(path.parent.iterdir()) == [path]


def fill(path: Path) -> None:
    with room.write_growing(path) as file:
        try:
            while True:
                file.write(b"y" * MB)
                disk = os.statvfs(path)
                assert disk.f_bavail * disk.f_frsize >= FLOOR
        except OSError:
            raise RuntimeError("unexpected position") from None


def test_progress_on_a_disk_without_a_byte_is_lost_in_silence(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", MB) as is_mounted:
        if not is_mounted:
            pytest.skip("only root can mount a small disk")
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            (tmp_path / "disk" / "all").write_bytes(bytes(2 * MB))
        progress.add(tmp_path / "disk" / "work", {"event": "step", "step": 1, "note": "x" * 10_000})
        assert progress.read(tmp_path / "disk" / "work").losses == []
