"""The web process alone, on a folder and a port of its own, and raw readers of its live stream."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from pytest_django.plugin import DjangoDbBlocker

from finetune_portal.accounts.models import User
from finetune_portal.audit import append_only
from tests import databases, prepared
from tests.cookies import session_cookie
from tests.people import signed_in
from tests.ports import free_port
from tests.running import ROOT
from tests.waiting import PATIENCE

START_SECONDS = 120.0 * PATIENCE
EVENT_SECONDS = 60.0 * PATIENCE
CONFIG = "python:finetune_portal.gunicorn"


@dataclass
class WebServer:
    """gunicorn as `manage.py up` starts it, without worker and engine."""

    data: Path
    secret: str = "a secret that tests and the process share"
    port: int = field(default_factory=free_port)
    environment: dict[str, str] = field(default_factory=dict)
    files: int = 0  # how many it may have open, if that is to be limited
    config: str = CONFIG
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def variables(self) -> dict[str, str]:
        # A provider where nobody listens: whoever asks it is refused at once.
        own = {"PORT": str(self.port), "SECRET_KEY": self.secret}
        provider = {"SEGMIND_BASE_URL": "http://127.0.0.1:9", "SEGMIND_API_KEY": "a-key"}
        return {**databases.variables_of(self.data), **own, **provider, **self.environment}

    def prepare(self) -> Self:
        prepared.lay_out(self.data)
        return self

    @property
    def log(self) -> Path:
        return self.data.parent / f"{self.data.name}.log"

    def start(self) -> Self:
        self.begin()
        latest = time.monotonic() + START_SECONDS
        while not self._answers():
            assert time.monotonic() < latest, f"The web process did not start.\n{self.log.read_text()}"
            time.sleep(0.05)
        return self

    def begin(self) -> Self:
        """Start it and do not wait for it to answer."""
        serve = ["gunicorn", "--config", self.config, "finetune_portal.asgi:application"]
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", *serve]
            if self.files:
                limit = f'ulimit -Sn 64; ulimit -Hn {self.files}; exec "$@"'
                command = ["sh", "-c", limit, "sh", *command]
            self.process = subprocess.Popen(command, cwd=ROOT, env=self.variables, stdout=log, stderr=log)
        return self

    def _answers(self) -> bool:
        try:
            with self.connect("/healthz") as reader:
                return reader.status == 200
        except OSError:
            return False

    def connect(self, path: str, session: str = "") -> Reader:
        return Reader(self.port, path, session)

    def stop(self) -> float:
        """Stop it as a supervisor does; the seconds that it took."""
        began = time.monotonic()
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60 * PATIENCE)
            self.process = None
        return time.monotonic() - began


class Reader:
    """One GET, read line by line as it comes."""

    def __init__(self, port: int, path: str, session: str = "", *, timeout: float = 30) -> None:
        url = f"http://127.0.0.1:{port}"
        lines = [
            f"GET {path} HTTP/1.0",
            f"Host: 127.0.0.1:{port}",
            f"Cookie: {session_cookie(url)}={session}",
        ]
        with socket.create_connection(("127.0.0.1", port), timeout) as connection:
            connection.sendall("\r\n".join([*lines, "", ""]).encode())
            self.file = connection.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        self.headers: dict[str, str] = {}
        while line := self.file.readline().decode().strip():
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()

    def events(self) -> Iterator[tuple[str, dict[str, Any]]]:
        name = ""
        for line in self.file:
            key, _, value = line.decode().strip().partition(": ")
            if key == "event":
                name = value
            elif key == "data":
                yield name, json.loads(value)

    def next(self, wanted: str) -> dict[str, Any]:
        """The next event of this name, which must come soon; the stream's beats keep the clock."""
        began = time.monotonic()
        for name, data in self.events():
            if name == wanted:
                return data
            assert time.monotonic() - began < EVENT_SECONDS, f"no {wanted} came"
        raise AssertionError("the stream ended")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


@contextmanager
def database_of(web: WebServer, settings: Any, blocker: DjangoDbBlocker) -> Iterator[None]:
    """Let this process work on the database of the other one, which is emptied first."""
    settings.DATA_DIR, settings.SECRET_KEY = web.data, web.secret
    settings.LOCAL_ENGINE = False  # as over there, where the variables name a provider
    mine = connections["default"]
    theirs = connections.create_connection("default")
    theirs.settings_dict = {**mine.settings_dict, "NAME": databases.name_of(web.data)}
    connections["default"] = theirs
    try:
        with blocker.unblock():
            append_only.remove()
            call_command("flush", interactive=False, verbosity=0)
            yield
    finally:
        theirs.close()
        connections["default"] = mine


def session_of(user: User) -> str:
    return signed_in(user).cookies[settings.SESSION_COOKIE_NAME].value


@contextmanager
def running_web(data: Path, **environment: str) -> Iterator[WebServer]:
    web = WebServer(data, environment=environment).prepare()
    try:
        yield web.start()
    finally:
        web.stop()


@pytest.fixture(scope="session")
def web_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """One web process for the whole run, for tests that need a socket but no worker; see `web`."""
    data = tmp_path_factory.mktemp("web") / "data"
    with running_web(data, WEB_WORKERS="1", UPLOAD_QUIET_SECONDS="5") as running:
        yield running


@pytest.fixture
def web(web_server: WebServer, settings: Any, django_db_blocker: DjangoDbBlocker) -> Iterator[WebServer]:
    """The web process, and its database as this test's, emptied."""
    with database_of(web_server, settings, django_db_blocker):
        yield web_server
