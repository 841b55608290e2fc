"""`manage.py up`: web, worker and engine under one supervisor, killed and stopped for real."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from django.core.management import CommandError, call_command

from finetune_portal.datasets import sample
from tests import databases
from tests.e2e.conftest import EMAIL, PASSWORD, Portal, answers
from tests.people import form_data
from tests.ports import free_port
from tests.provider import ScriptedProvider
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.long

TIMEOUT = 60.0 * PATIENCE
STOP_SECONDS = 30.0 * PATIENCE  # the supervisor kills after 8 what has not ended
PROGRAMS = {"web": "gunicorn", "worker": "manage.py work", "engine": "finetune_portal.engine"}


@dataclass
class Maker:
    """Someone signed in who trains by plain forms."""

    portal: Portal
    session: requests.Session = field(default_factory=requests.Session)

    def post(self, path: str, data: dict[str, object], **options: object) -> requests.Response:
        page = self.session.get(self.portal.url + path, timeout=TIMEOUT).text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert token, page
        fields = {**data, "csrfmiddlewaretoken": token[1]}
        response = self.session.post(self.portal.url + path, fields, timeout=TIMEOUT, **options)
        assert response.ok, response.text
        return response

    def signs_in(self) -> Maker:
        self.post("/login/", {"username": EMAIL, "password": PASSWORD})
        return self

    def starts(self, steps: int = 300) -> str:
        """Start a training; the path of its page."""
        file = {"file": ("night.zip", sample.make())}
        response = self.post("/jobs/new/", form_data(steps=str(steps)), files=file)
        return response.url.removeprefix(self.portal.url)

    def state(self, job: str) -> str:
        """What the job's page says, or nothing while the web process is away."""
        try:
            html = self.session.get(self.portal.url + job, timeout=TIMEOUT).text
        except requests.ConnectionError:
            return ""
        match = re.search(r'data-state="(\w+)"', html)
        return match[1] if match else ""

    def waits_for(self, job: str, *states: str) -> None:
        until(lambda: self.state(job) in states, why=f"{job} is {states}\n{self.portal.log_text()}")


def children(pid: int) -> dict[int, str]:
    """Process ids and command lines; that of a dead one is empty."""
    commands = {}
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in task.read_text().split():
                commands[int(child)] = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")
    return commands


def tree(pid: int) -> list[int]:
    """All that descends from this process."""
    return [each for child in children(pid) for each in (child, *tree(child))]


def pid_of(portal: Portal, name: str) -> int:
    """The supervisor's child of this name, or 0."""
    assert portal.process
    commands = children(portal.process.pid).items()
    return next((pid for pid, command in commands if PROGRAMS[name] in command), 0)


def alive(pids: list[int]) -> list[str]:
    """Those that still run, as the system describes them. A zombie only waits for its parent's look."""
    running = []
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            status = Path(f"/proc/{pid}/stat").read_text()
            if status.rsplit(")", 1)[1].split()[0] not in "ZX":
                running.append(status)
    return running


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    running = Portal(tmp_path_factory.mktemp("up") / "data", is_prepared=False)
    running.data.mkdir(mode=0o755)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.mark.parametrize("name", ["web", "worker", "engine"])
def test_a_kill_during_a_training_loses_nothing(portal: Portal, name: str) -> None:
    """O2, S7, W8: the supervisor starts it again, and the job goes on from the rows."""
    maker = Maker(portal).signs_in()
    job = maker.starts(steps=2000)  # it trains for almost three seconds, so that the worker sees it
    maker.waits_for(job, "training")
    killed = pid_of(portal, name)
    left_behind = tree(killed)
    os.kill(killed, signal.SIGKILL)
    until(lambda: pid_of(portal, name) not in (0, killed), why=f"{name} runs again")
    assert alive([killed, *left_behind]) == [], "its workers held the port"
    maker.waits_for(job, "ready")
    assert f"{name} ended with status -9; starting it again." in portal.log_text()
    until(lambda: answers(f"{portal.engine_url}/healthz"), why="the engine answers the next test")


def test_sigterm_stops_everything_and_a_start_goes_on(portal: Portal) -> None:
    """D10"""
    maker = Maker(portal).signs_in()
    job = maker.starts(steps=3000)
    maker.waits_for(job, "training")
    assert portal.process
    pids = tree(portal.process.pid)
    assert len(pids) >= 4
    began = time.monotonic()
    portal.stop()
    assert time.monotonic() - began < STOP_SECONDS
    assert portal.process.returncode == 0
    assert alive(pids) == []

    portal.start()
    maker.waits_for(job, "ready")


def test_other_users_of_the_machine_can_read_nothing(portal: Portal) -> None:
    """By mode, in what a whole run wrote, although the folder was open to them before."""
    assert stat.S_IMODE(portal.data.stat().st_mode) == 0o700
    assert f"{portal.data} had mode 755; it has 700 now" in portal.log_text()
    modes = dict(modes_below(portal.data))
    databases_here = {"engine.sqlite3"} if databases.URL else {"portal.sqlite3", "engine.sqlite3"}
    assert {*databases_here, "secret-key"} <= {path.name for path in modes}
    assert not {path: oct(mode) for path, mode in modes.items() if mode & 0o077}


def modes_below(folder: Path) -> Iterator[tuple[Path, int]]:
    """Of files and folders, but for links and for what goes meanwhile."""
    for name, folders, files in os.walk(folder):
        for path in (Path(name) / each for each in (*folders, *files)):
            with suppress(FileNotFoundError):
                if not path.is_symlink():
                    yield path, path.stat().st_mode


def test_with_a_provider_there_is_no_engine_and_no_child_outlives_a_killed_supervisor(
    tmp_path: Path,
) -> None:
    own = Portal(tmp_path / "data")
    try:
        with ScriptedProvider() as provider:
            own.start(SEGMIND_BASE_URL=provider.url, SEGMIND_API_KEY=provider.key)
            until(lambda: bool(provider.sent("list")), why="the worker asks the provider")
            assert pid_of(own, "engine") == 0
            assert pid_of(own, "web")
            assert own.process
            pids = tree(own.process.pid)
            own.process.kill()
            own.process.wait()
            with suppress(AssertionError):
                until(lambda: not alive(pids), seconds=STOP_SECONDS)
            assert alive(pids) == []
    finally:
        own.stop()
    assert "local engine" not in own.log_text()
    assert provider.key not in own.log_text()


@pytest.mark.parametrize("name", ["PORT", "ENGINE_PORT"])
def test_a_port_in_use_is_said_with_the_way_out(
    name: str, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("PORT", str(port if name == "PORT" else free_port()))
        settings.ENGINE_PORT = port if name == "ENGINE_PORT" else free_port()
        with pytest.raises(
            CommandError, match=f"Port {port} is in use.*choose another one: {name}={port + 1}"
        ):
            call_command("up")
