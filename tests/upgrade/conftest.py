"""A portal on the data of an older release: loaded as it was left, moved to today, migrated by this code."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from tests import databases, prepared
from tests.e2e.conftest import Portal, answers
from tests.notifications.conftest import MailServer, mail_server
from tests.provider import ScriptedProvider
from tests.running import ROOT
from tests.waiting import until

RELEASE = Path(__file__).resolve().parent / "35ee960"  # made by make.py
MOMENT = re.compile(r"\b20\d\d-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?")
TOKEN = "c" * 32
TIMEOUT = 60.0
SERVE = ("-m", "gunicorn", "--config", "python:finetune_portal.gunicorn", "finetune_portal.asgi:application")


@dataclass
class Person:
    """Somebody at a browser; signed in by a session cookie of the older release, or not at all."""

    url: str
    cookie: str = ""
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        self.session.cookies.update(
            {"csrftoken": TOKEN} | ({"sessionid": self.cookie} if self.cookie else {})
        )
        self.session.headers["X-CSRFToken"] = TOKEN

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.session.get(self.url + path, timeout=TIMEOUT, **options)

    def page(self, path: str) -> str:
        answer = self.get(path)
        assert answer.status_code == 200, (path, answer.status_code)
        assert "/login/" not in answer.url, path
        return answer.text

    def post(self, path: str, fields: dict[str, str] | None = None) -> requests.Response:
        return self.session.post(self.url + path, fields or {}, timeout=TIMEOUT)


@dataclass
class Upgraded:
    """The portal, what the fixture knows of its data, and the services that it talks to."""

    portal: Portal
    facts: dict[str, Any]
    vendor: ScriptedProvider
    studio: ScriptedProvider
    mail: MailServer = field(default_factory=MailServer)
    web: subprocess.Popen[bytes] | None = None

    def person(self, name: str = "") -> Person:
        return Person(self.portal.url, self.facts["cookies"].get(name, ""))

    def call(
        self, path: str, token: str = "nightly", method: str = "GET", **options: Any
    ) -> requests.Response:
        """A call of the gateway by a personal token of the fixture."""
        headers = {"x-api-key": self.facts["tokens"][token]}
        return requests.request(method, self.portal.url + path, headers=headers, timeout=TIMEOUT, **options)

    def job(self, name: str) -> dict[str, Any]:
        return next(job for job in self.facts["jobs"] if job["name"] == name)

    def state(self, name: str) -> str:
        """What the page of this job says."""
        match = re.search(r'data-state="(\w+)"', self.person("ada").page(f"/jobs/{self.job(name)['pk']}/"))
        assert match
        return match[1]

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PORT": str(self.portal.port),
            "ENGINE_PORT": str(self.portal.engine_port),
            "ENGINE_TIME_SCALE": "0.02",
            "PORTAL_UPSTREAMS": f"{self.vendor.url},{self.studio.url}",
            "PORTAL_EMAIL_HOST": "127.0.0.1",
            "PORTAL_EMAIL_PORT": str(self.mail.port),
            "PORTAL_EMAIL_TLS": "no",
            "PORTAL_SESSION_HOURS": "1000000",  # the sessions began when the fixture was made
            "WEB_WORKERS": "1",
        }

    def manage(self, *command: str, **environment: str) -> None:
        variables = databases.variables_of(self.portal.data) | self.environment | environment
        subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=variables, check=True)

    def serve(self) -> None:
        """Only the web process, so that nothing moves on."""
        variables = databases.variables_of(self.portal.data) | self.environment
        with (self.portal.data.parent / "web.log").open("ab") as log:
            self.web = subprocess.Popen(
                [sys.executable, *SERVE], cwd=ROOT, env=variables, stdout=log, stderr=log
            )
        until(lambda: answers(f"{self.portal.url}/healthz"), seconds=180, why="the web process answers")

    def end_web(self) -> None:
        if self.web:
            self.web.terminate()
            self.web.wait(timeout=60)
            self.web = None


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upgraded]:
    """Migrated and served; no worker runs, so that all is as the older release left it."""
    portal = Portal(tmp_path_factory.mktemp("upgrade") / "data", is_prepared=False)
    with ScriptedProvider() as vendor, ScriptedProvider() as studio, mail_server() as mail:
        facts = load(portal, {"vendor": vendor.url, "studio": studio.url})
        vendor.key, studio.key = facts["keys"]["Vendor"], facts["keys"]["Studio"]
        upgraded = Upgraded(portal, facts, vendor, studio, mail)
        upgraded.manage("migrate", "-v0")
        shutil.copytree(prepared.built() / "static", portal.data / "static")
        try:
            upgraded.serve()
            yield upgraded
        finally:
            upgraded.end_web()
            portal.stop()
            databases.drop(portal.data)


def load(portal: Portal, addresses: dict[str, str]) -> dict[str, Any]:
    """Lay the fixture into the portal's folder and database; answers its facts.

    All times move by as much as has passed since it was made, and addresses become those of this run.
    """
    facts = json.loads((RELEASE / "facts.json").read_text(encoding="utf-8"))
    passed = timedelta(
        seconds=int((datetime.now(UTC) - datetime.fromisoformat(facts["made_at"])).total_seconds())
    )
    addresses |= {"portal": portal.url, "engine": portal.engine_url}
    swaps = {before: addresses[name] for name, before in facts["addresses"].items()}

    def text_of(name: str) -> str:
        text = (RELEASE / name).read_text(encoding="utf-8")
        for before, after in swaps.items():
            text = text.replace(before, after)
        return MOMENT.sub(lambda moment: str(datetime.fromisoformat(moment[0]) + passed), text)

    portal.data.mkdir(mode=0o700)
    with tarfile.open(RELEASE / "files.tar.gz") as tar:
        tar.extraction_filter = getattr(tarfile, "data_filter", None)  # from Python 3.11.4 on
        tar.extractall(portal.data)
    with closing(sqlite3.connect(portal.data / "engine" / "engine.sqlite3")) as engine:
        engine.executescript(text_of("engine.sql"))
    with databases.opened(portal.data) as database:
        if databases.URL:
            database.execute(text_of("postgresql.sql"))
        else:
            database.executescript(text_of("sqlite.sql"))
    return dict(json.loads(text_of("facts.json")))


@pytest.fixture(scope="module")
def at_work(migrated: Upgraded) -> Upgraded:
    """The same with worker and engine, and with providers that know what the older release sent them."""
    for provider, name in ((migrated.vendor, "vendor"), (migrated.studio, "studio")):
        for job in migrated.facts["jobs"]:
            if job["connection"] == name and job["request_id"]:
                remember(provider, job)
    migrated.studio.can = ("cancel", "losses", "progress", "run", "samples")
    migrated.vendor.adds(migrated.job("Sending")["sent_as"])  # it had arrived when the worker was killed
    migrated.end_web()
    migrated.portal.start(**migrated.environment)
    return migrated


def remember(provider: ScriptedProvider, job: dict[str, Any]) -> None:
    """It goes on from where it was; what is to be cancelled has not ended before."""
    known, status = provider.adds(job["sent_as"]), job["status"]
    rest = known.ahead[known.ahead.index(status) + 1 :] if status in known.ahead else known.ahead
    known.id, known.status = job["request_id"], status
    known.ahead = [] if status in ("AVAILABLE", "FAILED") or job["name"] == "Cancelling" else rest
    known.error_message = "It failed." if status == "FAILED" else None
