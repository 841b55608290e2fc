"""A database that is held by someone else: 503 with Retry-After and a sentence, and nothing is done."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from tests.conftest import StartEngine
from tests.engine.calling import body, call, submit, upload


def test_it_is_said_and_nothing_is_done(engines: StartEngine) -> None:
    engine = engines()
    fields = body(upload(engine))
    path = engine.data_dir / "engine" / "engine.sqlite3"
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        answer = submit(engine, fields)
        listed = call(engine, "GET", "/finetune/request/list")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "database is busy" in answer.json()["error"]
    assert (listed.status_code, listed.json()) == (200, []), "it can be read meanwhile"
