"""The live stream sends nothing of a private project to anybody else, whatever changes meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django.plugin import DjangoDbBlocker

from finetune_portal.accounts import services as accounts
from finetune_portal.accounts.models import User
from finetune_portal.jobs.models import Job, Training
from finetune_portal.jobs.timeline import Source, move
from finetune_portal.projects import services
from finetune_portal.projects.models import Member, Project
from tests.people import make_job, person
from tests.web_server import Reader, WebServer, database_of, running_web, session_of

MARK = "xq7kz"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with running_web(tmp_path_factory.mktemp("private") / "data") as web:
        yield web


@pytest.fixture
def web(server: WebServer, settings: Any, django_db_blocker: DjangoDbBlocker) -> Iterator[WebServer]:
    """The process, and its own database as this test's, emptied."""
    with database_of(server, settings, django_db_blocker):
        yield server


@pytest.fixture
def admin(web: WebServer) -> User:
    return person("dana", "admin")


@pytest.fixture
def project(admin: User) -> Project:
    project = services.add("Winter", actor=admin)
    services.set_private(project, private=True, actor=admin)
    return project


def look(web: WebServer, user: User) -> Reader:
    """An open stream that has said hello, and has got a row of everyone's."""
    reader = web.connect("/live/", session_of(user))
    reader.next("hello")
    until_row(reader, make_job(user, "training", name="before"))
    return reader


def until_row(stream: Reader, job: Job) -> str:
    """All that comes until the row of this job, which is the last of it."""
    seen = []
    for name, content in stream.events():
        seen.append(f"{name} {content}")
        if name == "row" and content["id"] == job.pk:
            return "\n".join(seen)
    raise AssertionError("The stream ended.")


def test_rows_numbers_and_progress_reach_members_and_admins_only(
    web: WebServer, admin: User, project: Project
) -> None:
    alice, bob = person("alice", "maker"), person("bob", "maker")
    services.add_member(project, alice, actor=admin)
    with look(web, alice) as own, look(web, admin) as admins, look(web, bob) as others:
        job = make_job(alice, "training", name=MARK, project=project)
        Training.objects.create(job=job, percent=41)
        last = make_job(bob, "training", name="after")
        for stream, is_seen in ((own, True), (admins, True), (others, False)):
            assert (MARK in until_row(stream, last)) is is_seen
        numbers = {who: stream.next("counts")["active"] for who, stream in (("own", own), ("others", others))}
        assert int(numbers["own"]) == int(numbers["others"]) + 1


def test_a_stream_follows_when_somebody_becomes_or_is_no_longer_a_member(
    web: WebServer, admin: User, project: Project
) -> None:
    alice = person("alice", "maker")
    job = make_job(admin, "training", name=MARK, project=project)
    with look(web, alice) as stream:
        services.add_member(project, alice, actor=admin)
        stream.next("stale")
        move(job, "deploying", "Deploying", source=Source.POLL)
        assert MARK in until_row(stream, job)
        services.remove_member(Member.objects.get(user=alice), actor=admin)
        stream.next("stale")
        move(job, "trained", "Trained", source=Source.POLL)
        assert MARK not in until_row(stream, make_job(alice, "training", name="after"))


def test_a_stream_follows_when_a_project_becomes_private_and_open(
    web: WebServer, admin: User, project: Project
) -> None:
    bob = person("bob", "maker")
    job = make_job(admin, "training", name=MARK, project=project)
    with look(web, bob) as stream:
        services.set_private(project, private=False, actor=admin)
        stream.next("stale")
        move(job, "deploying", "Deploying", source=Source.POLL)
        assert MARK in until_row(stream, job)
        services.set_private(project, private=True, actor=admin)
        stream.next("stale")
        move(job, "trained", "Trained", source=Source.POLL)
        assert MARK not in until_row(stream, make_job(bob, "training", name="after"))


def test_who_is_no_admin_any_more_gets_no_more_of_it(web: WebServer, admin: User, project: Project) -> None:
    former = person("erin", "admin")
    with look(web, former) as stream:
        accounts.set_role(former, User.Role.MAKER, actor=admin)
        make_job(admin, "training", name=MARK, project=project)
        assert MARK not in until_row(stream, make_job(admin, "training", name="after"))
