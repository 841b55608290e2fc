"""A stranger does not fill the engine's log."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

from finetune_portal.engine.logs import RepeatFilter
from tests.running import start_engine
from tests.waiting import until


def test_malformed_requests_leave_a_few_lines(tmp_path: Path) -> None:
    with start_engine(tmp_path) as engine:
        for number in range(100):
            with socket.create_connection(("127.0.0.1", engine.port)) as stranger:
                stranger.sendall(b"G%d @ / HTTP/9\r\n\r\n" % number)
                assert stranger.recv(1000).startswith(b"HTTP/1.1 400 ")
        until(lambda: engine.log.count("Invalid request") >= RepeatFilter.MOST)
    assert engine.log.count("Invalid request") == RepeatFilter.MOST


def test_a_later_line_says_how_many_there_were() -> None:
    now = 0.0
    repeats = RepeatFilter(lambda: now)

    def passed(message: str) -> str:
        record = logging.LogRecord("engine", logging.WARNING, "x.py", 1, message, ("x",), None)
        return record.getMessage() if repeats.filter(record) else ""

    assert [passed("a job failed: %s") for _ in range(1000)] == ["a job failed: x"] * 30 + [""] * 970
    assert passed("another failed: %s") == "another failed: x"
    now = 61.0
    assert passed("a job failed: %s") == "a job failed: x (and 970 more like this before)"
    assert passed("a job failed: %s") == "a job failed: x"
