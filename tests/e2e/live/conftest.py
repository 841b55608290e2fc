"""The web process alone, on a database that the test writes to, and browsers that look at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page
from pytest_django.plugin import DjangoDbBlocker

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from tests.e2e.conftest import Visitor
from tests.people import person
from tests.web_server import WebServer, database_of, running_web, session_of

Open = Callable[..., Page]


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    with running_web(tmp_path_factory.mktemp("live") / "data") as web:
        yield web


@pytest.fixture
def web(
    server: WebServer, settings: Any, django_db_blocker: DjangoDbBlocker, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WebServer]:
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")  # Playwright runs a loop in this thread
    with database_of(server, settings, django_db_blocker):
        connections.built_in()
        yield server


@pytest.fixture
def alice(web: WebServer) -> User:
    return person("alice", "maker")


@pytest.fixture
def visit(visitor: Visitor, web: WebServer) -> Open:
    """Open a page as someone: each call is a browser of its own, unless one is given."""

    def open_page(user: User, path: str = "/", *, url: str = web.url, within: Page | None = None) -> Page:
        page = within.context.new_page() if within else visitor(url, session_of(user), portal=web.url)
        page.goto(path)
        page.evaluate("window.sameDocument = true")
        return page

    return open_page
