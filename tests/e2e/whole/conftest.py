"""The whole product as a person meets it: web, worker and engine under one supervisor."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import requests
from playwright.sync_api import Page

from tests.cookies import csrf_cookie, session_cookie
from tests.e2e.conftest import EMAIL, PASSWORD, Portal, Visitor, form_without_hashes

PROVOKED = "?broken-on-purpose"  # in the address of a page whose report is wanted


@pytest.fixture(scope="package")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    running = Portal(tmp_path_factory.mktemp("portal") / "data")
    try:
        running.start(UPLOAD_QUIET_SECONDS="6")
        yield running
        assert [report for report in running.reports() if PROVOKED not in report] == []
    finally:
        running.stop()


@pytest.fixture(scope="package")
def ada(portal: Portal) -> Iterator[requests.Session]:
    """A signed-in admin without a browser."""
    with requests.Session() as session:
        session.headers["Referer"] = portal.url
        form = session.get(f"{portal.url}/login/", timeout=30).text
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
        assert token
        data = {"username": EMAIL, "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
        session.post(f"{portal.url}/login/", data=data, timeout=30).raise_for_status()
        session.headers["X-CSRFToken"] = session.cookies[csrf_cookie(portal.url)]
        yield session


@pytest.fixture
def page(visitor: Visitor, portal: Portal) -> Page:
    """A visitor whom nobody knows yet."""
    return visitor(portal.url)


@pytest.fixture
def signed_in(visitor: Visitor, portal: Portal, ada: requests.Session) -> Page:
    """The browser of somebody who signed in once."""
    return visitor(portal.url, ada.cookies[session_cookie(portal.url)])


@pytest.fixture
def form(signed_in: Page) -> Page:
    return form_without_hashes(signed_in)
