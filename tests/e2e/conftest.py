"""A real Chromium, and what it visits: the web process alone, or the whole product under `manage.py up`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.hashers import make_password
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from finetune_portal.accounts.models import User
from finetune_portal.accounts.passwords import Argon2idPasswordHasher
from finetune_portal.datasets import sample
from tests import databases, prepared
from tests.cookies import session_cookie
from tests.people import just_signed_in
from tests.ports import free_port
from tests.programs import needed
from tests.waiting import PATIENCE, until
from tests.web_server import WebServer, session_of

ROOT = Path(__file__).resolve().parents[2]
EMAIL, PASSWORD = "ada@example.com", "correct horse battery"
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
Visitor = Callable[..., Page]


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


def chromium_path() -> str:
    """The one without a window first: it is the same inside, and asks for half of the processor."""
    return needed("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium, until the last browser test: while it runs, Playwright keeps an event loop in this thread.

    Other tests fork the process or run a loop of their own.
    """
    path = chromium_path()
    expect.set_options(timeout=60_000 * PATIENCE)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Visitor]:
    """Open an empty page of a visitor whom the portal at `url` does not know, or who has this session.

    `portal` is the portal's own address where `url` is that of a proxy. Ends with an error if a script failed
    or the CSP was hurt on any page.
    """
    contexts: list[BrowserContext] = []
    faults: list[str] = []

    def note(page: Page) -> None:
        page.on("pageerror", lambda error: faults.append(error.stack or str(error)))
        page.on("console", lambda line: faults.append(line.text) if "Security Policy" in line.text else None)

    def open_page(url: str, session: str = "", *, portal: str = "", **options: Any) -> Page:
        given = {"accept_downloads": True, "reduced_motion": "reduce", **options}
        context = browser.new_context(base_url=url, **given)
        contexts.append(context)
        context.set_default_timeout(60_000 * PATIENCE)
        context.on("page", note)
        if session:
            context.add_cookies([{"name": session_cookie(portal or url), "value": session, "url": url}])
        return context.new_page()

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


@cache
def password_hash() -> str:
    """PASSWORD as the web process stores it; made once, because to make one is meant to be slow."""
    return make_password(PASSWORD, hasher=Argon2idPasswordHasher())


@pytest.fixture
def admin(web: WebServer, settings: Any) -> User:
    """Who signs in to the web process of `web` with a real password: EMAIL and PASSWORD."""
    settings.PASSWORD_HASHERS = ["finetune_portal.accounts.passwords.Argon2idPasswordHasher"]
    return User.objects.create(email=EMAIL, password=password_hash(), name="Ada", role=User.Role.ADMIN)


def just_entered(user: User) -> str:
    """The session of somebody who gave a password just now: no page asks again who it is."""
    return just_signed_in(user).cookies[settings.SESSION_COOKIE_NAME].value


@pytest.fixture
def page(visitor: Visitor, web: WebServer, admin: User) -> Page:
    """The browser of the admin, who is signed in."""
    return visitor(web.url, session_of(admin))


@pytest.fixture
def form(page: Page) -> Page:
    """The form where the browser cannot hash, as over plain http: nothing is asked before it is sent."""
    return form_without_hashes(page)


def form_without_hashes(page: Page) -> Page:
    page.add_init_script("delete Crypto.prototype.subtle")
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto("/jobs/new/")
    return page


def enter(page: Page) -> None:
    page.goto("/login/")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url(lambda url: "/login/" not in url)
