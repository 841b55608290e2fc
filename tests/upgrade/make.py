"""Make the data of release 35ee960 that `test_upgrade.py` upgrades. Run once; its output is committed.

Run it in a checkout of commit 35ee960, with that commit's requirements and Debian's package postgresql:

    git worktree add --detach ../old 35ee960
    cd ../old && python -m venv .venv && .venv/bin/python -m pip install -r requirements-dev.txt
    .venv/bin/python ../portal/tests/upgrade/make.py

It fills a portal with the services of that release (`make_rows.py`) and writes into `35ee960/` beside itself:
`sqlite.sql` and `postgresql.sql` (the portal's database, the same rows in both), `engine.sql` (the local
engine's), `files.tar.gz` (what lies in DATA_DIR) and `facts.json` (what the test looks for).

All secrets are for tests only. Names of that release, such as `Carry` and `Trial`, stay here as they were.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
import sqlite3.dump  # now: the settings put another sqlite3 in its place, which has none
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

COMMIT = "35ee960"
HERE = Path(__file__).resolve().parent
OUT = HERE / COMMIT
PORTS = {"portal": 18000, "engine": 18100}
SECRETS = {
    "secrets/secret-key": "for-tests-only-signing-key-of-the-upgrade-fixture",
    "secrets/sealing-key": "for-tests-only-sealing-key-of-the-upgrade-fixture",
    "engine/secret-key": "for-tests-only-engine-signing-key-of-the-fixture",
    "engine/api-key": "for-tests-only-engine-api-key-of-the-fixture",
}
LEFT_OUT = {"static", "portal.sqlite3", "engine.sqlite3", "engine.log", "lock"}


def main() -> None:
    if sys.argv[1:2] == ["copy"]:
        copy_to_postgresql(Path(sys.argv[2]))
        return
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        prepare(data)
        from make_rows import fill  # after the environment and the path are set

        facts = fill(data, PORTS)
        shutil.rmtree(OUT, ignore_errors=True)
        OUT.mkdir()
        (OUT / "facts.json").write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")
        (OUT / "sqlite.sql").write_text(sqlite_dump(data / "portal.sqlite3"))
        (OUT / "engine.sql").write_text(sqlite_dump(data / "engine" / "engine.sqlite3"))
        (OUT / "files.tar.gz").write_bytes(packed(data))
        (OUT / "postgresql.sql").write_text(postgresql_dump(data))


def prepare(data: Path) -> None:
    """The folder with its known secrets, and an environment in which Django starts as that release."""
    for name, secret in SECRETS.items():
        path = data / name
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(secret)
        path.chmod(0o600)
    sys.path[0:0] = [str(Path.cwd()), str(HERE)]
    set_up(data)


def set_up(data: Path) -> None:
    os.environ |= {
        "DATA_DIR": str(data),
        "DJANGO_SETTINGS_MODULE": "finetune_portal.settings",
        "ENGINE_PORT": str(PORTS["engine"]),
        "PORT": str(PORTS["portal"]),
    }
    import django

    django.setup()


def sqlite_dump(path: Path) -> str:
    with closing(sqlite3.connect(path)) as database:
        return "\n".join(database.iterdump()) + "\n"


def packed(data: Path) -> bytes:
    """All files of the folder, always in the same order and with the same times."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz", compresslevel=9) as tar:
        for path in kept(data):
            entry = tar.gettarinfo(path, path.relative_to(data))
            entry.uid = entry.gid = entry.mtime = 0
            entry.uname = entry.gname = ""
            with path.open("rb") as file:
                tar.addfile(entry, file)
    return archive.getvalue()


def kept(data: Path) -> Iterator[Path]:
    for path in sorted(data.rglob("*")):
        parts = {part.removesuffix("-wal").removesuffix("-shm") for part in path.relative_to(data).parts}
        if path.is_file() and not parts & LEFT_OUT:
            yield path


def postgresql_dump(data: Path) -> str:
    """The same rows, migrated and copied by that release on a PostgreSQL of its own."""
    url, dump = "postgres://$PGUSER:$PGPASSWORD@$PGHOST:$PGPORT/postgres", data.parent / "postgresql.sql"
    copy = f"DATABASE_URL={url} {sys.executable} {Path(__file__).resolve()} copy {data}"
    options = f"--file={dump} --inserts --rows-per-insert=50 --no-owner --no-privileges"
    subprocess.run(
        ["pg_virtualenv", "-t", "-o", "fsync=off", "sh", "-c", f"{copy} && PGTZ=UTC pg_dump {options} {url}"],
        env=os.environ | {"LC_ALL": "C.UTF-8"},
        check=True,
    )
    lines = dump.read_text(encoding="utf-8").splitlines()  # without what only psql understands
    return "\n".join(line for line in lines if not line.startswith("\\")) + "\n"


def copy_to_postgresql(data: Path) -> None:
    sys.path[0:0] = [str(Path.cwd())]
    set_up(data)
    from django.apps import apps
    from django.conf import settings
    from django.core.management import call_command
    from django.core.management.color import no_style
    from django.db import connection, transaction

    settings.DATABASES["made"] = {**connection.settings_dict, **settings.SQLITE}
    call_command("migrate", verbosity=0)
    models: list[Any] = [
        each for each in apps.get_models() if each._meta.app_label not in ("auth", "contenttypes")
    ]
    with transaction.atomic(), connection.cursor() as cursor:
        for model in models:
            model._base_manager.all().delete()  # what a migration made
            model._base_manager.bulk_create(model._base_manager.using("made").order_by("pk"))
        for statement in connection.ops.sequence_reset_sql(no_style(), models):
            cursor.execute(statement)


if __name__ == "__main__":
    main()
