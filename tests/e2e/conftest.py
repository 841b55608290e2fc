"""The whole product as a person meets it: `manage.py up` in its own data folder, and a real Chromium."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from django.core.cache import cache
from playwright.sync_api import Browser, Page, expect, sync_playwright

from finetune_portal.accounts.models import User
from finetune_portal.datasets import sample
from tests import databases, prepared
from tests.cookies import csrf_cookie, session_cookie
from tests.people import person
from tests.programs import needed
from tests.waiting import PATIENCE, until
from tests.web_server import WebServer

ROOT = Path(__file__).resolve().parents[2]
EMAIL, PASSWORD = "ada@example.com", "correct horse battery"
PROVOKED = "?broken-on-purpose"  # in the address of a page whose report is wanted
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def write_sample(path: Path) -> None:
    """The sample dataset with a comment of its own: the library has never seen these bytes."""
    path.write_bytes(sample.make())
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = os.urandom(8).hex().encode()


@dataclass
class Portal:
    """A running product: web, worker and engine under one supervisor."""

    data: Path
    is_prepared: bool = True
    port: int = field(default_factory=free_port)
    engine_port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def engine_url(self) -> str:
        return f"http://127.0.0.1:{self.engine_port}"

    def log_text(self) -> str:
        return (self.data.parent / "portal.log").read_text()

    def reports(self) -> list[str]:
        """What browsers told of pages that broke their own policy."""
        return [line for line in self.log_text().splitlines() if "Content security policy violated" in line]

    def start(self, **environment: str) -> None:
        own = {
            "PORT": str(self.port),
            "ENGINE_PORT": str(self.engine_port),
            "ENGINE_TIME_SCALE": "0.1",
            "PORTAL_ADMIN_EMAIL": EMAIL,
            "PORTAL_ADMIN_PASSWORD": PASSWORD,
        }
        self.data.parent.mkdir(parents=True, exist_ok=True)
        if self.is_prepared:
            prepared.lay_out(self.data)
        with (self.data.parent / "portal.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "up"],
                cwd=ROOT,
                env={**databases.variables_of(self.data), **own, **environment},
                stdout=log,
                stderr=log,
            )
        until(lambda: answers(f"{self.url}/readyz"), seconds=180, why="the portal is ready")

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=60 * PATIENCE)


@pytest.fixture(scope="package")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    running = Portal(tmp_path_factory.mktemp("portal") / "data")
    try:
        running.start(UPLOAD_QUIET_SECONDS="6")
        yield running
        assert [report for report in running.reports() if PROVOKED not in report] == []
    finally:
        running.stop()


def chromium_path() -> str:
    """The one without a window first: it is the same inside, and asks for half of the processor."""
    return needed("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = chromium_path()
    expect.set_options(timeout=60_000 * PATIENCE)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, portal: Portal) -> Iterator[Page]:
    """A fresh visitor. Ends with an error if a script failed or the CSP was hurt on any page."""
    context = browser.new_context(base_url=portal.url, accept_downloads=True, reduced_motion="reduce")
    faults: list[str] = []
    context.set_default_timeout(60_000 * PATIENCE)
    visited = context.new_page()
    visited.on("pageerror", lambda error: faults.append(error.stack or str(error)))
    visited.on(
        "console",
        lambda line: faults.append(line.text) if "Content Security Policy" in line.text else None,
    )
    yield visited
    context.close()
    assert faults == []


def enter(page: Page) -> None:
    page.goto("/login/")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(lambda url: "/login/" not in url)


@pytest.fixture
def signed_in(page: Page) -> Page:
    enter(page)
    return page


@pytest.fixture(scope="module")
def session(browser: Browser, portal: Portal) -> Any:
    """The cookies of somebody who signed in once."""
    context = browser.new_context(base_url=portal.url)
    context.set_default_timeout(60_000 * PATIENCE)
    page = context.new_page()
    page.goto("/login/")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/login/" not in url)
    cookies = context.cookies()
    context.close()
    return cookies


@pytest.fixture
def form(page: Page, session: Any) -> Page:
    """The form where the browser cannot hash, as over plain http: nothing is asked before it is sent."""
    page.add_init_script("delete Crypto.prototype.subtle")
    page.context.add_cookies(session)
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto("/jobs/new/")
    return page


@pytest.fixture
def ada(portal: Portal) -> Iterator[requests.Session]:
    """A signed-in maker without a browser."""
    with requests.Session() as session:
        session.headers["Referer"] = portal.url
        form = session.get(f"{portal.url}/login/", timeout=30).text
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', form)
        assert token
        data = {"username": EMAIL, "password": PASSWORD, "csrfmiddlewaretoken": token[1]}
        session.post(f"{portal.url}/login/", data=data, timeout=30).raise_for_status()
        session.headers["X-CSRFToken"] = session.cookies[csrf_cookie(portal.url)]
        yield session


def open_page(browser: Browser, web: WebServer, session: str) -> Page:
    context = browser.new_context(base_url=web.url, reduced_motion="reduce", accept_downloads=True)
    context.set_default_timeout(20_000 * PATIENCE)
    context.add_cookies([{"name": session_cookie(web.url), "value": session, "url": web.url}])
    return context.new_page()


@pytest.fixture
def admin(web: WebServer, settings: Any) -> User:
    """Who signs in to the web process of `web` with a real password."""
    cache.clear()
    settings.PASSWORD_HASHERS = ["finetune_portal.accounts.passwords.Argon2idPasswordHasher"]
    return person("ada", User.Role.ADMIN)
