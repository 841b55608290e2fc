"""`manage.py backup`, of a portal that runs, and `restore`: nothing lost, nothing paid twice (S17, K1)."""

from __future__ import annotations

import io
import json
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
import requests
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils.timezone import now

from finetune_portal.accounts import services as accounts
from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from finetune_portal.datasets.models import Dataset
from finetune_portal.gateway import services as gateway
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.sync import submit
from finetune_portal.operations import backups
from finetune_portal.queue.leases import claimable
from tests import databases
from tests.cookies import csrf_cookie
from tests.e2e.conftest import Portal
from tests.faults.conftest import workshop as workshop
from tests.faults.portal import Workshop, new_form_key
from tests.operations.test_up import Maker
from tests.people import make_job, person
from tests.running import ROOT
from tests.test_access import ROUTES
from tests.test_secrets import PIECES
from tests.waiting import until
from tests.worker.driving import fresh

KEY_LOST = "The API key of “Second” cannot be decrypted"
pytestmark = [
    pytest.mark.skipif(bool(databases.URL), reason="PostgreSQL has its own tools"),
    pytest.mark.long,
]


def manage(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=databases.variables_of(data),
        capture_output=True,
        text=True,
        timeout=120,
    )


def bring_back(backup: Path, data: Path, *options: str) -> str:
    done = manage(data, "restore", str(backup), *options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def command(name: str, path: Path) -> str:
    """What the command says; in this process, on the folder and the database that it has open."""
    output = io.StringIO()
    call_command(name, str(path), stdout=output)
    return output.getvalue()


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """It has a trained job, an encrypted key, and one training in progress."""
    running = Portal(tmp_path_factory.mktemp("backup") / "data")
    try:
        running.start(PORTAL_PROVIDER_URLS=running.engine_url)
        yield running
    finally:
        running.stop()


def post(maker: Maker, path: str, fields: dict[str, str]) -> requests.Response:
    token = {"csrfmiddlewaretoken": maker.session.cookies[csrf_cookie(maker.portal.url)]}
    return maker.session.post(maker.portal.url + path, fields | token, timeout=30)


@pytest.fixture(scope="module")
def ready(portal: Portal) -> str:
    maker = Maker(portal).signs_in()
    key = (portal.data / "engine" / "api-key").read_text()
    own = {"name": "Second", "provider": portal.engine_url, "key": key}
    assert "“Second” is added. Its key works." in post(maker, "/settings/connections/add/", own).text
    job = maker.starts()
    maker.waits_for(job, "ready")
    return job


@pytest.fixture(scope="module")
def backup(portal: Portal, ready: str) -> Path:
    """Made while people work."""
    target = portal.data.parent / "backup.tar"
    done = manage(portal.data, "backup", str(target))
    assert done.returncode == 0, done.stderr
    assert "The secrets are not in it." in done.stdout
    assert str(portal.data / "secrets" / "sealing-key") in done.stdout
    return target


def test_it_is_whole_and_for_its_owner_only(backup: Path, portal: Portal) -> None:
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert {path.name for path in backup.parent.iterdir()} == {"backup.tar", "data", "portal.log"}
    with tarfile.open(backup) as tar:
        names = tar.getnames()
    assert names[0] == backups.LABEL
    assert {"portal.sqlite3", "engine/engine.sqlite3"} < set(names)
    assert {name.split("/")[0] for name in names} <= {
        backups.LABEL,
        "portal.sqlite3",
        "datasets",
        "previews",
        "engine",
    }
    for path in (portal.data / "datasets").iterdir():
        assert f"datasets/{path.name}" in names


def test_no_key_is_in_it(backup: Path, portal: Portal) -> None:
    """K1: nothing that was made of random content, wherever its file lies."""
    content = backup.read_bytes()
    of_engine = [path for path in (portal.data / "engine").iterdir() if "sqlite" not in path.name]
    secrets = [*(portal.data / "secrets").iterdir(), *(path for path in of_engine if path.is_file())]
    assert {"secret-key", "sealing-key", "engine-hook", "engine-hook-secret", "api-key"} <= {
        path.name for path in secrets
    }
    for path in secrets:
        assert not (value := path.read_bytes().strip()) or value not in content, path
    with tarfile.open(backup) as tar:
        in_engine = {name for name in tar.getnames() if name.count("/") == 1 and name.startswith("engine/")}
    assert in_engine == {"engine/engine.sqlite3"}


def test_an_empty_folder_becomes_the_portal_of_then(
    backup: Path, ready: str, tmp_path: Path, portal: Portal, settings: Any
) -> None:
    restored = Portal(tmp_path / "data")
    settings.DATA_DIR = restored.data
    refuses_half_of_it(backup, tmp_path / "half.tar")
    output = bring_back(backup, restored.data)
    assert "Restored as of " in output
    assert "1 API keys or notification addresses cannot be decrypted" in output
    for path in (restored.data / "datasets").rglob("*"):
        assert path.read_bytes() == (portal.data / path.relative_to(restored.data)).read_bytes()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not list(restored.data.glob("*.restoring*"))
    with closing(sqlite3.connect(restored.data / "portal.sqlite3")) as database:
        triggers = {
            name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type='trigger'")
        }
    assert {"audit_no_change", "audit_no_delete"} <= triggers, "the record can still only grow"
    try:
        restored.start(PORTAL_PROVIDER_URLS=portal.engine_url)
        maker = Maker(restored).signs_in()
        assert maker.state(ready) == "ready"
        goes_on_without_the_sealing_key(maker)
        shutil.copy(portal.data / "secrets" / "sealing-key", restored.data / "secrets" / "sealing-key")
        assert "The key works." in post(maker, "/settings/connections/2/test/", {}).text
        assert KEY_LOST not in maker.session.get(restored.url, timeout=30).text
        another = maker.starts()
        maker.waits_for(another, "ready")
        link = maker.session.get(f"{restored.url}{ready}download/", allow_redirects=False).headers["Location"]
        assert maker.session.get(urljoin(restored.url, link)).ok, "the engine's files came along"
    finally:
        restored.stop()


def refuses_half_of_it(backup: Path, half: Path) -> None:
    """A restore that was killed is no other case: the portal's database gets its name last."""
    content = backup.read_bytes()
    for share in (0.0, 0.001, 0.1, 0.3, 0.95):
        half.write_bytes(content[: int(len(content) * share)])
        with pytest.raises(backups.BackupError, match="not a backup, or it is incomplete"):
            backups.restore(half)
        assert not (half.parent / "data" / "portal.sqlite3").exists()


def goes_on_without_the_sealing_key(maker: Maker) -> None:
    """K3: every page says so, and none is a fault."""
    url = maker.portal.url
    until(lambda: KEY_LOST in maker.session.get(url, timeout=30).text, why="the banner is there")
    for route in ROUTES.values():
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda match: PIECES.get(match[1], "1"), route)
        if "logout" not in path:
            answer = maker.session.get(f"{url}/{path}", timeout=30)
            assert answer.status_code < 500, path
            assert KEY_LOST in answer.text or 'id="banners"' not in answer.text, path


def test_it_goes_back_into_no_portal_that_is_there(backup: Path, portal: Portal, settings: Any) -> None:
    settings.DATA_DIR = portal.data
    before = (portal.data / "portal.sqlite3").stat().st_ino
    with pytest.raises(CommandError, match=r"There is a database already: .* Stop the portal"):
        command("restore", backup)
    assert (portal.data / "portal.sqlite3").stat().st_ino == before


def test_it_overwrites_no_file_and_names_one_in_a_folder_by_the_time(
    backup: Path, portal: Portal, tmp_path: Path, settings: Any, db: None
) -> None:
    settings.DATA_DIR = portal.data
    with pytest.raises(CommandError, match=" exists. Choose another name"):
        command("backup", backup)
    command("backup", tmp_path)
    (made,) = tmp_path.iterdir()
    assert made.name.startswith("portal-20")
    with pytest.raises(CommandError, match="cannot be written"):
        command("backup", tmp_path / "nowhere" / "b.tar")


@pytest.mark.parametrize(
    "name", ["../evil", "/tmp/evil", "datasets/../../evil", "secrets/secret-key", "evil"]
)
def test_a_file_that_leads_elsewhere_is_refused(tmp_path: Path, name: str, settings: Any) -> None:
    settings.DATA_DIR = tmp_path / "data"
    crafted = tmp_path / "crafted.tar"
    label = json.dumps({"made": "2026-01-01T00:00:00+00:00"})
    with tarfile.open(crafted, "w") as tar:
        for each, content in ((backups.LABEL, label), (name, "x")):
            member = tarfile.TarInfo(each)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content.encode()))
    with pytest.raises(backups.BackupError, match="that no backup holds"):
        backups.restore(crafted)
    assert not list(tmp_path.rglob("*evil*"))


def test_what_waited_then_is_not_sent_again(workshop: Workshop, tmp_path: Path) -> None:
    """S17: the backup is older than the submits. The portal finds them, and a person decides the rest."""
    with workshop.portal() as portal:
        portal.proxy.down()
        forms = [new_form_key() for _ in range(4)]
        assert portal.start(*forms) == 0
        later = now() + timedelta(hours=1)
        Connection.objects.update(lease=uuid.uuid4(), lease_expires_at=later, due_at=later)
        Dataset.objects.update(lease=uuid.uuid4(), lease_expires_at=later)
        command("backup", tmp_path / "b.tar")
        never = Job.objects.earliest("pk")
        assert portal.post("alice", (f"/jobs/{never.pk}/withdraw/", {})) == 0
        portal.proxy.up()
        assert portal.work() == 0
        assert len(portal.provider.sent("submit")) == 3
        connection.close()
        for path in portal.folder.glob("portal.sqlite3*"):
            path.unlink()
        output = command("restore", tmp_path / "b.tar")
        assert "4 jobs were waiting and may have been submitted since" in output
        assert claimable(Connection.objects.all()).exists(), "the provider's list is asked for at once"
        assert not Dataset.objects.exclude(lease=None).exists(), "nothing waits for the worker of then"
        assert portal.work() == 0
        assert len(portal.provider.sent("submit")) == 3, "none is sent again"
        states = sorted(Job.objects.values_list("state", flat=True))
        assert states == ["needs_decision", "ready", "ready", "ready"]


def test_what_let_somebody_in_then_lets_nobody_in_again(workshop: Workshop, tmp_path: Path) -> None:
    """Whatever was ended since the backup was made comes back with it, and ends again."""
    with workshop.portal() as portal:
        alice, dana = (User.objects.get(email=f"{name}@example.com") for name in ("alice", "dana"))
        person("bob", "maker")
        invitation = accounts.invite("admin", email="mallory@example.com", actor=dana)
        link = accounts.password_link(alice, actor=dana)
        token = gateway.new_token(owner=alice, name="Script", rights=[], days=None)[1]
        assert Session.objects.exists()
        connection.close()
        assert manage(portal.folder, "backup", str(tmp_path / "b.tar")).returncode == 0
        for path in portal.folder.glob("portal.sqlite3*"):
            path.unlink()
        output = bring_back(tmp_path / "b.tar", portal.folder, "--deactivate", "Bob@example.com")
        assert "Everybody is signed out" in output
        assert "What was deleted since is back" in output
        assert "These accounts are active: alice@example.com, " in output
        assert "bob@" not in output
        assert not Session.objects.exists()
        assert not UserSession.objects.exists()
        browser = Client(SERVER_NAME="127.0.0.1")
        assert browser.get(urlsplit(invitation).path).status_code == 410
        assert browser.get(urlsplit(link).path, follow=True).status_code == 410
        assert gateway.find_token(token).problem == "This token was revoked."


def test_the_job_says_that_it_is_unconfirmed(dataset: Dataset, alice: Any) -> None:
    waiting = make_job(alice, dataset=dataset)
    done = make_job(alice, "ready")
    assert submit.mark_unsent_unconfirmed() == 1
    assert (fresh(waiting).state, fresh(done).state) == ("unconfirmed", "ready")
    assert "restored from a backup" in fresh(waiting).error
    assert waiting.submit_attempts.get().outcome == "unknown"
