"""A database that is held by someone else: 503 with Retry-After and a sentence, for each kind of client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from django.db import InterfaceError, OperationalError
from pytest_django.plugin import DjangoDbBlocker

from finetune_portal.accounts.models import User
from finetune_portal.gateway.services import new_token
from finetune_portal.jobs.models import Job
from finetune_portal.web.busy import SENTENCE, is_busy
from tests import databases
from tests.cookies import csrf_cookie, session_cookie
from tests.gateway.api_client import submit_body
from tests.people import form_data, make_dataset, person
from tests.web_server import WebServer, database_of, running_web, session_of

TUS = {"Tus-Resumable": "1.0.0", "Upload-Length": "9"}
CHUNK = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}


@pytest.fixture
def impatient(tmp_path: Path, settings: Any, django_db_blocker: DjangoDbBlocker) -> Iterator[WebServer]:
    """A web process that waits for the database for a moment only."""
    if databases.URL:
        pytest.skip("PostgreSQL has no lock on the whole database")
    running = running_web(tmp_path / "data", WEB_WORKERS="1", SQLITE_WAIT_SECONDS="0.1")
    with running as web, database_of(web, settings, django_db_blocker):
        yield web


def test_each_client_is_told_and_nothing_is_done(impatient: WebServer) -> None:
    """Case 24: another program holds the lock of the database."""
    web, alice = impatient, person("alice", User.Role.MAKER)
    dataset = make_dataset(alice)
    token = new_token(owner=alice, name="t", rights=["train"], days=1)[1]
    with requests.Session() as session:
        session.cookies[session_cookie(web.url)] = session_of(alice)
        session.headers["Referer"] = web.url
        session.get(f"{web.url}/jobs/new/", timeout=30)
        session.headers["X-CSRFToken"] = session.cookies[csrf_cookie(web.url)]
        begun = session.post(f"{web.url}/uploads/", headers=TUS, timeout=30)
        chunk = begun.headers["Location"]
        with databases.opened(web.data) as holder:
            holder.isolation_level = None
            holder.execute("BEGIN IMMEDIATE")
            page = session.post(f"{web.url}/jobs/new/", data=form_data(dataset), timeout=30)
            begin = session.post(f"{web.url}/uploads/", headers=TUS, timeout=30)
            piece = session.patch(web.url + chunk, b"nine byte", headers={**TUS, **CHUNK}, timeout=30)
            call = requests.post(
                f"{web.url}/finetune/request/submit",
                json=submit_body("https://example.com/a.zip"),
                headers={"x-api-key": token},
                timeout=30,
            )
            holder.execute("ROLLBACK")
        again = session.patch(web.url + chunk, b"nine byte", headers={**TUS, **CHUNK}, timeout=30)
    for answer in (page, begin, piece, call):
        assert answer.status_code == 503, answer.url
        assert answer.headers["Retry-After"] == "5"
    assert "<h1>The portal is busy</h1>" in page.text
    assert SENTENCE in page.text
    assert begin.text == piece.text == SENTENCE
    assert json.loads(call.text) == {"error": SENTENCE}
    assert again.status_code == 204, "the upload goes on where it stood"
    assert not Job.objects.exists()
    assert "Traceback" not in web.log.read_text()


def test_pages_can_be_read_meanwhile(impatient: WebServer) -> None:
    """Also the first one of a session, which stores when the session was last used."""
    bob = person("bob", User.Role.VIEWER)
    with databases.opened(impatient.data) as holder, requests.Session() as session:
        session.cookies[session_cookie(impatient.url)] = session_of(bob)
        holder.isolation_level = None
        holder.execute("BEGIN IMMEDIATE")
        paths = ("/", "/datasets/", "/jobs/table/", "/profile/", "/team/")
        answers = [session.get(impatient.url + path, timeout=30) for path in paths]
        holder.execute("ROLLBACK")
    assert [answer.status_code for answer in answers] == [200] * len(paths)
    assert User.objects.get(pk=bob.pk).last_seen_at is None
    with requests.Session() as session:
        session.cookies[session_cookie(impatient.url)] = session_of(bob)
        session.get(f"{impatient.url}/", timeout=30)
    assert User.objects.get(pk=bob.pk).last_seen_at is not None


def wrapped(kind: type[Exception], cause: Exception) -> Exception:
    """As Django wraps what the driver raises."""
    exc = kind(*cause.args)
    exc.__cause__ = cause
    return exc


@pytest.mark.parametrize(
    ("state", "busy"), [("55P03", True), ("40P01", True), ("53300", True), ("57P01", True), ("53100", False)]
)
def test_states_of_postgresql(state: str, busy: bool) -> None:
    cause = psycopg.errors.lookup(state)("the server's words")
    assert is_busy(wrapped(OperationalError, cause)) is busy


def test_a_server_that_is_away_is_busy() -> None:
    with (
        pytest.raises(psycopg.OperationalError) as refused,
        closing(psycopg.connect("host=127.0.0.1 port=9")),
    ):
        pass
    assert is_busy(wrapped(OperationalError, refused.value))
    assert is_busy(wrapped(InterfaceError, psycopg.InterfaceError("the connection is closed")))


@pytest.mark.parametrize("words", ["disk I/O error", "database or disk is full", "no such table: jobs"])
def test_other_faults_of_sqlite_stay_faults(words: str) -> None:
    assert not is_busy(OperationalError(words))
    assert not is_busy(None)
