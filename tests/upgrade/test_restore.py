"""A backup that release 35ee960 made is restored by this one, and what may be paid already is not sent."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from pathlib import Path

import pytest

from tests import databases
from tests.e2e.conftest import Portal
from tests.provider import ScriptedProvider
from tests.upgrade.conftest import Upgraded, load

FOLDERS = ("datasets", "samples", "playground", "engine")


@pytest.mark.skipif(bool(databases.URL), reason="PostgreSQL has its own backups")
@pytest.mark.long
def test_a_backup_of_an_older_release_is_restored(tmp_path: Path) -> None:
    then, now = (Portal(tmp_path / name, is_prepared=False) for name in ("then", "now"))
    facts = load(then, {"vendor": "http://127.0.0.1:9", "studio": "http://127.0.0.1:9"})
    backup = packed(then.data, tmp_path / "backup.tar")
    shutil.copytree(then.data / "secrets", now.data / "secrets")
    restored = Upgraded(now, facts, ScriptedProvider(), ScriptedProvider())
    restored.manage("restore", str(backup))
    with databases.opened(now.data) as database:
        rows = database.execute("SELECT name FROM jobs_job WHERE state = 'unconfirmed'").fetchall()
    assert {name for (name,) in rows} == {"Unconfirmed", "Queued", "Waiting", "Sending"}
    restored.manage("reseal")
    key, *files = sorted(files_of(then.data), key=lambda path: path.name != "secret-key")
    assert key.name == "secret-key"
    assert not (now.data / key.relative_to(then.data)).exists(), "it was in those backups by mistake"
    for path in files:
        assert (now.data / path.relative_to(then.data)).read_bytes() == path.read_bytes()


def files_of(data: Path) -> list[Path]:
    """What a backup holds beside the databases."""
    paths = (path for folder in FOLDERS for path in sorted((data / folder).rglob("*")))
    return [path for path in paths if path.is_file() and path.name not in ("api-key", "engine.sqlite3")]


def packed(data: Path, target: Path) -> Path:
    """As that release wrote it: a label, the databases, the files."""
    label = {"made": "2026-11-01T12:00:00+00:00", "version": "0", "database": "sqlite"}
    with tarfile.open(target, "w") as tar:
        entry = tarfile.TarInfo("finetune-portal-backup.json")
        content = json.dumps(label).encode()
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
        for name in ("engine/engine.sqlite3", "portal.sqlite3"):
            tar.add(data / name, name)
        for path in files_of(data):
            tar.add(path, path.relative_to(data))
    return target
