"""GET /live/: what a commit anywhere sends to every open page, held against the real web process."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.db import transaction
from django.utils.timezone import now
from pytest_django.plugin import DjangoDbBlocker

from finetune_portal.accounts import services, sessions
from finetune_portal.accounts.models import User
from finetune_portal.accounts.session_store import key_of
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.live.stream import CHECK_SECONDS, STREAMS_PER_PERSON, Viewer, signed_out
from finetune_portal.jobs.models import Job, Training
from finetune_portal.jobs.timeline import Source, move
from tests.people import make_dataset, make_job, person
from tests.provider import ScriptedProvider
from tests.waiting import until
from tests.web_server import Reader, WebServer, database_of, running_web, session_of

PATIENT = 30  # seconds that the server has for open connections when it stops
READY = 'data-state="copying"'  # its model file is on its way
PUBLISHED = {"request_id": "1", "slug": "s", "cloud_storage_url": "https://a.example/b"}


@pytest.fixture(scope="module")
def provider() -> Iterator[ScriptedProvider]:
    with ScriptedProvider() as running:
        yield running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, provider: ScriptedProvider) -> Iterator[WebServer]:
    data = tmp_path_factory.mktemp("live") / "data"
    with running_web(data, SEGMIND_BASE_URL=provider.url) as web:
        yield web


@pytest.fixture
def web(server: WebServer, settings: Any, django_db_blocker: DjangoDbBlocker) -> Iterator[WebServer]:
    """The process, and its own database as this test's, emptied."""
    with database_of(server, settings, django_db_blocker):
        yield server


def look(web: WebServer, user: User) -> Reader:
    """An open stream that has said hello."""
    reader = web.connect("/live/", session_of(user))
    assert reader.status == 200
    reader.next("hello")
    return reader


def row_of(stream: Reader, job: Job, holds: str = "") -> dict[str, Any]:
    """The next row of this job that holds these words; what was made just before may come as well."""
    while True:
        row = stream.next("row")
        if row["id"] == job.pk and holds in row["html"]:
            return row


def test_a_commit_arrives_with_its_row_at_once(web: WebServer) -> None:
    alice = person("alice", "maker")
    job = make_job(alice, "training")
    with look(web, alice) as stream:
        for state in ("deploying", "trained", "deploying", "trained", "deploying", "ready"):
            move(job, state, state.title(), source=Source.POLL)
            beats = 0
            shown = f'data-state="{state}"'
            for name, row in stream.events():
                beats += name == "beat"
                assert beats < 3, f"{state} was waited for"
                if name == "row" and shown in row["html"]:
                    break
    assert row["html"].startswith(f'<tr id="job-{job.pk}"')
    assert (row["owner"], row["group"], row["archived"]) == (alice.pk, "ready", False)


def test_only_who_may_change_a_job_gets_its_switch(web: WebServer) -> None:
    alice, dana = person("alice", "maker"), person("dana", "admin")
    others = [person("bob", "maker"), person("charlie", "viewer")]
    job = make_job(alice, "deploying", **PUBLISHED)
    with ExitStack() as stack:
        streams = [stack.enter_context(look(web, user)) for user in (alice, dana, *others)]
        move(job, "ready", "Ready", source=Source.POLL)
        rows = [row_of(stream, job, READY)["html"] for stream in streams]
    assert [f"/jobs/{job.pk}/public/" in row for row in rows] == [True, True, False, False]
    assert all(f"/jobs/{job.pk}/download/" in row for row in rows)


def test_a_change_that_commits_late_is_not_missed(web: WebServer) -> None:
    """Its `updated_at` is older than what the watcher has already seen."""
    alice = person("alice", "maker")
    early, late = make_job(alice), make_job(alice)
    with look(web, alice) as stream:
        moment = now()
        move(early, "sending", "Sending", source=Source.PORTAL)
        row_of(stream, early, 'data-state="sending"')
        Job.objects.filter(pk=late.pk).update(state="closed", updated_at=moment)
        row_of(stream, late, 'data-state="closed"')


def test_a_burst_in_one_commit_arrives_whole(web: WebServer) -> None:
    alice = person("alice", "maker")
    with look(web, alice) as stream:
        with transaction.atomic():
            jobs = {make_job(alice).pk for _ in range(30)}
        assert {stream.next("row")["id"] for _ in jobs} == jobs
        with transaction.atomic():
            for _ in range(201):
                make_job(alice)
        stream.next("stale")


def test_counts_dataset_and_banners_are_sent(web: WebServer) -> None:
    alice = person("alice", "maker")
    dataset = make_dataset(alice, data=b"", state="receiving")
    connections.built_in()
    make_job(alice, "failed")
    waiting = make_job(alice, "waiting", dataset=dataset)
    with look(web, alice) as stream:
        dataset.name = "hats"
        dataset.updated_at = now()
        dataset.save()
        row_of(stream, waiting, "hats")
        assert stream.next("counts") == {"all": "2", "active": "1", "ready": "0", "failed": "1"}
        Connection.objects.update(failing_since=now(), failure="The provider is away.", updated_at=now())
        while "The provider is away." not in stream.next("banners")["html"]:
            pass  # of what the watcher saw before


def test_how_far_a_training_is_arrives_without_a_change_of_the_job(web: WebServer) -> None:
    """The job is old: had the watcher first seen it together with its progress, both would be one `row`."""
    alice = person("alice", "maker")
    yesterday = now() - timedelta(days=1)
    job = make_job(alice, "training", updated_at=yesterday)
    training = Training.objects.create(job=job, percent=3, updated_at=yesterday)
    with look(web, alice) as stream:
        Training.objects.filter(pk=training.pk).update(percent=43.2, updated_at=now())
        event = stream.next("progress")
        assert event["id"] == job.pk
        assert "43 %" in event["html"]


def test_a_silent_portal_still_beats(web: WebServer) -> None:
    with look(web, person("alice", "maker")) as stream:
        stream.next("beat")
        stream.next("beat")


def test_it_needs_login_and_the_portals_own_page(web: WebServer) -> None:
    with web.connect("/live/", "no-such-session") as reader:
        assert reader.status == 401
    session = session_of(person("alice", "maker"))
    with web.connect("/live/", f"{session}\r\nSec-Fetch-Site: cross-site") as reader:
        assert reader.status == 403
    with web.connect("/live/", session) as reader:
        assert reader.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert reader.headers["cache-control"] == "no-store"
        assert reader.headers["x-accel-buffering"] == "no"


def test_one_person_cannot_take_all_streams(web: WebServer) -> None:
    alice, bob = person("alice", "maker"), person("bob", "maker")
    with ExitStack() as stack:
        statuses = [
            stack.enter_context(web.connect("/live/", session_of(alice))).status
            for _ in range(2 * STREAMS_PER_PERSON + 1)
        ]
        assert 429 in statuses
        with look(web, bob):
            pass
    until(lambda: is_let_in(web, alice), why="those that were closed count no more")


def is_let_in(web: WebServer, user: User) -> bool:
    with web.connect("/live/", session_of(user)) as reader:
        return reader.status == 200


def test_streams_hold_neither_thread_nor_database(web: WebServer) -> None:
    """The trap of a Django view: a thread and a connection for each viewer."""
    assert web.process
    users = [person(f"p{number}", "maker") for number in range(10)]
    with ExitStack() as stack:
        for user in users * 5:
            stack.enter_context(look(web, user))
        children = Path(f"/proc/{web.process.pid}/task/{web.process.pid}/children").read_text().split()
        for child in children:
            assert len(list(Path(f"/proc/{child}/task").iterdir())) < 20
            files = [str(link.resolve()) for link in Path(f"/proc/{child}/fd").iterdir()]
            assert sum("portal.sqlite3" in file for file in files) < 20


def test_fifty_viewers_cost_one_rendering_and_no_call_to_the_provider(
    web: WebServer, provider: ScriptedProvider
) -> None:
    alice = person("alice", "maker")
    job = make_job(alice, "training", **PUBLISHED)
    users = [person(f"p{number}", "viewer") for number in range(10)]
    with ExitStack() as stack:
        streams = [stack.enter_context(look(web, user)) for user in users * 5]
        move(job, "ready", "Ready", source=Source.POLL)
        rows = {row_of(stream, job, READY)["html"] for stream in streams}
    assert len(rows) == 1
    assert provider.requests == []


@pytest.mark.long
def test_the_streams_end_when_the_server_stops(web: WebServer, tmp_path: Path) -> None:
    """The server has long to stop, since a busy machine may take seconds for it."""
    usual, patient = web.config, tmp_path / "patient.py"
    patient.write_text(f"from finetune_portal.gunicorn import *\ngraceful_timeout = {PATIENT}\n")
    web.stop()
    web.config = str(patient)
    web.start()
    with look(web, person("alice", "maker")) as stream:
        took = web.stop()
        web.config = usual
        web.start()
        assert list(stream.events()) is not None
    assert took < PATIENT, "it waited for the streams"


def test_an_ended_session_and_a_new_role_are_noticed(web: WebServer) -> None:
    alice, bob = person("alice", "maker"), person("bob", "admin")
    cookie = settings.SESSION_COOKIE_NAME
    viewers = [Viewer(user, {"cookie": f"{cookie}={session_of(user)}"}) for user in (alice, bob)]
    assert signed_out(viewers) == []
    User.objects.filter(pk=alice.pk).update(is_active=False)
    User.objects.filter(pk=bob.pk).update(role="viewer")
    assert signed_out(viewers) == viewers[:1]
    assert not viewers[1].user.can_administer


def test_who_is_switched_off_or_signed_out_sees_nothing_more(web: WebServer) -> None:
    """At the commit, not at the next look."""
    alice, bob, charlie = person("alice", "maker"), person("bob", "maker"), person("charlie", "viewer")
    with ExitStack() as stack:
        keys = {user: session_of(user) for user in (alice, bob, charlie)}
        streams = {user: stack.enter_context(web.connect("/live/", key)) for user, key in keys.items()}
        for user, key in keys.items():
            streams[user].next("hello")
            UserSession.objects.create(
                user=user, ip="127.0.0.1", session_key=key_of(key), user_agent="Firefox"
            )
        began = time.monotonic()
        services.deactivate(alice, actor=charlie)
        sessions.end_all(bob)
        assert [name for user in (alice, bob) for name, _ in streams[user].events() if name != "beat"] == []
        assert time.monotonic() - began < CHECK_SECONDS / 2
        row_of(streams[charlie], make_job(charlie))
