"""The supervisor starts again what hangs, and what cannot keep its own workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.operations.test_up import children
from tests.ports import free_port
from tests.running import ROOT
from tests.waiting import until
from tests.web_server import running_web

# Answers as often as told, then holds each connection and says nothing.
HANGING = """
import socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
held = []
for number in range(10**6):
    connection, _ = server.accept()
    connection.recv(1000)
    if number < int(sys.argv[2]):
        connection.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n")
        connection.close()
    held.append(connection)
"""
SUPERVISED = """
import sys
from finetune_portal.operations.supervisor import Child, supervise
from finetune_portal.web.outbound import is_answering
port, answers, patience, seconds = sys.argv[1:]
child = Child("web", [sys.executable, "-c", {program!r}, port, answers], {{}}, patience=float(patience))
address = f"http://127.0.0.1:{{port}}/"
child.is_answering = lambda: print("asked") or is_answering(address, seconds=float(seconds))
sys.exit(supervise([child], ready=lambda: None))
"""


@contextmanager
def supervised(answers: int, log: Path, *, patience: float = 1.0, seconds: float = 0.2) -> Iterator[None]:
    program = SUPERVISED.format(program=HANGING)
    with log.open("wb") as output:
        own = map(str, (free_port(), answers, patience, seconds))
        command = [sys.executable, "-uc", program, *own]
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
        try:
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def test_what_does_not_answer_is_started_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with supervised(3, log):
        until(lambda: "web has not answered for 1 s." in log.read_text(), why="it is noticed")
        until(lambda: "web ended with status -9; starting it again." in log.read_text(), why="it starts")


def test_what_answers_is_left_alone(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with supervised(10**6, log, patience=4.0, seconds=3.0):  # a busy machine takes a second to start it
        until(lambda: log.read_text().count("asked") > 12, why="three times its patience has passed")
    assert "has not answered" not in log.read_text()


def test_a_web_process_whose_workers_die_in_a_row_ends(tmp_path: Path) -> None:
    with running_web(tmp_path / "data", WEB_WORKERS="1") as web:
        assert web.process
        main = web.process

        def is_over() -> bool:
            for worker in children(main.pid):
                os.kill(worker, signal.SIGKILL)
            return main.poll() is not None

        until(is_over, why="it gives up on its workers")
        assert "5 workers died within 60 s; ending." in web.log.read_text()
