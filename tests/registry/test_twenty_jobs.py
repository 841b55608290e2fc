"""Twenty models come home through every fault, and then their providers are gone for good.

A real worker process copies them from the fakes of Segmind and fal, while links expire, connections break,
the disk is full and the worker is killed again and again. Then a real web process serves them all.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from django.utils.timezone import now
from pytest_django.plugin import DjangoDbBlocker

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.models import Job, JobEvent
from finetune_portal.registry.models import FOLDER, ModelFile
from finetune_portal.worker.models import Heartbeat
from tests import databases
from tests.cookies import session_cookie
from tests.fal.server import FakeFal
from tests.faults.processes import Program
from tests.people import person
from tests.provider import Answer, ScriptedProvider, breaks, half, says
from tests.registry.finished import content, finished, finished_at_fal
from tests.running import ROOT
from tests.waiting import until
from tests.web_server import WebServer, database_of, session_of

pytestmark = pytest.mark.long

EXPIRED = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
SIZE, EACH = 400_000, 10
LATE = {"Request has expired": says(403, EXPIRED), "broke": breaks("reset", taken=True)}
FULL = {"DISK_FLOOR_BYTES": str(2**60)}
State = ModelFile.State


@dataclass
class Team:
    """A folder with its database, both fakes, and a worker that is started and killed."""

    web: WebServer
    segmind: ScriptedProvider
    fal: FakeFal
    maker: User
    worker: Program | None = None

    def start_worker(self, **own: str) -> None:
        began = now()
        log = self.web.data.parent / "worker.log"
        self.worker = Program(("manage.py", "work"), {**self.web.variables, **own}, log)
        self.worker.start()
        until(lambda: Heartbeat.objects.filter(beat_at__gte=began).exists(), why=log.read_text())

    def kill_worker(self) -> None:
        """With -9; then so much time passes that its leases and all pauses are over."""
        if self.worker:
            self.worker.kill()
        past = now() - timedelta(seconds=1)
        ModelFile.objects.update(due_at=past)
        ModelFile.objects.exclude(lease_expires_at=None).update(lease_expires_at=past)


def variables(segmind: ScriptedProvider, fal: FakeFal) -> dict[str, str]:
    return {
        "SEGMIND_BASE_URL": segmind.url,
        "SEGMIND_API_KEY": segmind.key,
        "FAL_KEY": fal.key,
        "FAL_QUEUE_URL": fal.queue_url,
        "FAL_REST_URL": fal.rest_url,
        "FAL_CDN_URL": fal.cdn_url,
        "FAL_API_URL": fal.api_url,
        "DISK_FLOOR_BYTES": "0",
        "WEB_WORKERS": "1",
    }


@pytest.fixture
def team(tmp_path: Path, settings: Any, django_db_blocker: DjangoDbBlocker) -> Iterator[Team]:
    with ScriptedProvider() as segmind, FakeFal() as fal:
        settings.PROVIDER_KEYS = {"fal": fal.key}
        web = WebServer(tmp_path / "data", environment=variables(segmind, fal)).prepare()
        with database_of(web, settings, django_db_blocker):
            made = Team(web, segmind, fal, person("alice", User.Role.MAKER))
            try:
                yield made
            finally:
                made.kill_worker()
                web.stop()


def trained(team: Team, numbers: Iterable[int]) -> dict[int, bytes]:
    """The bytes of two models for each number, by their jobs."""
    connections.built_in()
    at_fal = Connection.objects.get(provider="fal")
    models: dict[int, bytes] = {}
    for number in numbers:
        first, second = content(number, SIZE), content(100 + number, SIZE)
        models[finished(team.maker, team.segmind, first, name=f"segmind {number}").pk] = first
        models[finished_at_fal(team.maker, at_fal, team.fal, second, name=f"fal {number}").pk] = second
    return models


def left() -> Any:
    return Job.objects.filter(file_kept_at=None)


def bring_some_home(team: Team) -> None:
    """Through expired links and cut connections, while the worker is killed."""
    slow, broken = Answer(ending="slow"), (half(), breaks("reset", taken=True))
    team.segmind.script("fetch", slow, slow, says(403, EXPIRED), says(403, EXPIRED), *broken, slow, *broken)
    cdn = list(team.fal.files.stored.values())
    for file, fault in zip(cdn, ("cut", "cut", "cut", "403", "403"), strict=False):
        file.fault = fault
    for _ in range(3):
        team.start_worker()
        under_way = ModelFile.objects.filter(state=State.WANTED, received__gt=0)
        until(lambda rows=under_way: rows.exists() or left().count() < EACH, why="something arrives")
        team.kill_worker()
    for file in cdn:
        file.fault = ""


def late(reason: str) -> Any:
    """What timelines say of models that had to wait for this reason."""
    return JobEvent.objects.filter(text__contains="not copied home yet").filter(text__contains=reason)


def bring_late(team: Team, number: int, fault: Answer, reason: str) -> dict[int, bytes]:
    """Two more models, while the provider does this to every file and nobody kills the worker.

    What a killed worker met may be in no timeline.
    """
    team.segmind.script("fetch", *[fault] * 100)
    models = trained(team, [number])
    team.start_worker()
    until(late(reason).exists, why=f"a timeline says: {reason}")
    team.segmind.unscript()
    team.kill_worker()
    return models


def bring_all_home(team: Team) -> None:
    """Through a full disk."""
    team.start_worker(**FULL)
    until(lambda: ModelFile.objects.filter(waits_for_room=True).exists(), why="the disk is full")
    team.kill_worker()
    team.start_worker()

    def all_home() -> bool:
        ModelFile.objects.filter(state=State.WANTED).update(due_at=now() - timedelta(seconds=1))
        return not left().exists()

    until(all_home, seconds=120, why="all are home")
    team.kill_worker()


def check_copies(team: Team, models: dict[int, bytes]) -> None:
    for file in ModelFile.objects.select_related("model__job"):
        data, job = models[file.model.job_id], file.model.job
        digest = hashlib.sha256(data).hexdigest()
        assert file.path.read_bytes() == data
        assert (file.sha256, job.file_sha256, file.size, job.file_size) == (digest, digest, SIZE, SIZE)
    files = [path.name for path in (team.web.data / FOLDER).iterdir()]
    assert sorted(files) == sorted(
        Path(place).name for place in ModelFile.objects.values_list("place", flat=True)
    )
    assert len(files) == len(models) == 2 * EACH, "none twice"


def check_timelines(models: dict[int, bytes]) -> None:
    """Each says once that it is home, and those that had to wait say why."""
    home = JobEvent.objects.filter(text__startswith="Copied the model file home")
    assert Counter(home.values_list("job", flat=True)) == dict.fromkeys(models, 1)
    for reason in (*LATE, "has room for 0 bytes"):
        assert late(reason).exists(), reason


def check_downloads(team: Team, models: dict[int, bytes]) -> None:
    cookies = {session_cookie(team.web.url): session_of(team.maker)}
    for pk, data in models.items():
        to = requests.get(
            f"{team.web.url}/jobs/{pk}/download/", cookies=cookies, allow_redirects=False, timeout=30
        )
        assert to.status_code == 303, to.headers["Location"]
        link, etag = team.web.url + to.headers["Location"], f'"{hashlib.sha256(data).hexdigest()}"'
        first = requests.get(link, headers={"Range": "bytes=0-99999"}, timeout=30)
        rest = requests.get(link, headers={"Range": "bytes=100000-", "If-Range": etag}, timeout=30)
        assert (first.status_code, rest.status_code, first.headers["ETag"]) == (206, 206, etag)
        assert first.content + rest.content == data
        assert Job.objects.get(pk=pk).name in first.headers["Content-Disposition"]


def check_backups(team: Team, models: dict[int, bytes]) -> None:
    expected = {hashlib.sha256(data).hexdigest() for data in models.values()}
    for option, digests in (("--models", expected), ("--no-models", set())):
        target = team.web.data.parent / f"backup{option}.tar"
        run = [sys.executable, "manage.py", "backup", str(target), option]
        subprocess.run(run, cwd=ROOT, env={**os.environ, **team.web.variables}, check=True, timeout=120)
        with tarfile.open(target) as tar:
            members = [member for member in tar if member.name.startswith(f"{FOLDER}/")]
            contents = [file.read() for each in members if (file := tar.extractfile(each))]
        assert {hashlib.sha256(content).hexdigest() for content in contents} == digests
        assert len(contents) == len(digests)


@pytest.mark.skipif(bool(databases.URL), reason="its backups are those of SQLite")
def test_twenty_models_come_home_and_outlive_their_providers(team: Team) -> None:
    """D15"""
    models = trained(team, range(EACH - 1 - len(LATE)))
    bring_some_home(team)
    for number, (reason, fault) in enumerate(LATE.items(), start=EACH - 1 - len(LATE)):
        models |= bring_late(team, number, fault, reason)
    models |= trained(team, [EACH - 1])  # a quick worker may have left nothing for the full disk
    bring_all_home(team)
    check_copies(team, models)
    check_timelines(models)
    team.segmind.stop()
    team.fal.stop()
    team.web.start()
    check_downloads(team, models)
    check_backups(team, models)
