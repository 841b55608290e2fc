"""The three real processes on one folder, each to be killed and started again: web, worker, engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import requests
from django.conf import settings
from django.utils.timezone import now

from finetune_portal.connections.models import Connection, Kind
from finetune_portal.worker.models import Heartbeat
from tests import databases
from tests.cookies import csrf_cookie, session_cookie
from tests.engine.calling import call
from tests.faults.portal import Workshop
from tests.people import form_data
from tests.ports import free_port
from tests.provider import Job
from tests.running import KEY, ROOT, RunningEngine, start_engine
from tests.waiting import PATIENCE, until

TOKEN = "c" * 32
SERVE = ("-m", "gunicorn", "--config", "python:finetune_portal.gunicorn", "finetune_portal.asgi:application")


@dataclass
class Program:
    """A Python program in a process group of its own."""

    arguments: tuple[str, ...]
    environment: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self.arguments],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def stop(self) -> int:
        """Ask it to end, as a supervisor does; answers its status."""
        assert self.process
        self.process.terminate()
        return self.process.wait(timeout=60 * PATIENCE)

    def kill(self) -> None:
        if self.process:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@dataclass
class Running:
    """A web and a worker process, and people at their browsers."""

    port: int
    web: Program
    worker: Program
    sessions: dict[str, str]
    browser: requests.Session = field(default_factory=requests.Session)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, who: str, path: str, data: Any) -> bool:
        """Whether an answer came."""
        cookies = {session_cookie(self.url): self.sessions[who], csrf_cookie(self.url): TOKEN}
        try:
            answer = self.browser.post(
                self.url + path,
                data,
                cookies=cookies,
                headers={"X-CSRFToken": TOKEN},
                allow_redirects=False,
                timeout=10,
            )
        except requests.RequestException:
            return False
        assert answer.status_code == 302, (answer.status_code, answer.text[:500])
        return True

    def start_training(self, dataset: Any, form_key: str) -> bool:
        return self.post("alice", "/jobs/new/", form_data(dataset, form_key=form_key))

    def is_up(self) -> bool:
        try:
            return requests.get(f"{self.url}/healthz", timeout=2).ok
        except requests.RequestException:
            return False

    def kill(self, name: str) -> None:
        {"web": self.web, "worker": self.worker}[name].kill()

    def restart(self, name: str) -> None:
        began = now()
        if name == "web":
            self.web.start()
            until(self.is_up)
        else:
            self.worker.start()
            until(lambda: Heartbeat.objects.filter(beat_at__gte=began).exists())


@dataclass
class EngineBooks:
    """The engine's own list and its storage, as the ledger."""

    engine: RunningEngine

    @property
    def jobs(self) -> list[Job]:
        listed = call(self.engine, "GET", "/finetune/request/list").json()
        return [Job(each["finetune_id"], each["name"], each, each["status"], [], 0) for each in listed]

    @property
    def stored(self) -> dict[str, bytes]:
        files = (path for path in self.engine.data_dir.rglob("*") if path.is_file())
        return {str(path): path.read_bytes() for path in files}

    @property
    def submits(self) -> list[str]:
        """None: it keeps no requests."""
        return []


@contextmanager
def web_and_worker(workshop: Workshop, folder: Path, *, port: int = 0, **own: str) -> Iterator[Running]:
    """Both run on a copy of the prepared folder, and this process has its database open."""
    port = port or free_port()
    with ExitStack() as stack:
        stack.enter_context(workshop.copy(folder))
        environment = {
            **databases.variables_of(folder),
            "PORT": str(port),
            "SECRET_KEY": settings.SECRET_KEY,
            **own,
        }
        # The processes have their provider from the environment, and so it is the built-in connection.
        Connection.objects.update(kind=Kind.ENVIRONMENT)
        web = Program(SERVE, environment, folder / "web.log")
        worker = Program(("manage.py", "work"), environment, folder / "worker.log")
        running = Running(port, web, worker, sessions_of(workshop))
        stack.callback(web.kill)
        stack.callback(worker.kill)
        running.restart("web")
        running.restart("worker")
        yield running


def sessions_of(workshop: Workshop) -> dict[str, str]:
    """The session of each who is signed in."""
    name = settings.SESSION_COOKIE_NAME
    people = workshop.people.items()
    return {person: client.cookies[name].value for person, client in people if name in client.cookies}


@contextmanager
def all_three(workshop: Workshop, folder: Path) -> Iterator[tuple[Running, RunningEngine]]:
    port = free_port()
    hook = f"http://127.0.0.1:{port}{workshop.hook}"
    with (
        TemporaryDirectory(dir=folder.parent) as books,  # its own: no training of an earlier test is in it
        start_engine(Path(books), ENGINE_WEBHOOK_URL=hook) as engine,
    ):
        own = {"SEGMIND_BASE_URL": engine.url, "SEGMIND_API_KEY": KEY, "WEB_WORKERS": "1"}
        with web_and_worker(workshop, folder, port=port, **own) as running:
            yield running, engine
