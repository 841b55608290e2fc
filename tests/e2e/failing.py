"""What the tests of failures share: the form of a new job, the sign-in, and the message on the page."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, Route

from finetune_portal.accounts.models import User
from tests.people import PASSWORD, make_dataset
from tests.web_server import WebServer

KEPT = "Object.keys(sessionStorage).filter((key) => key.startsWith('typed:'))"


def fill_form(page: Page, web: WebServer, owner: User) -> None:
    dataset = make_dataset(owner)
    page.goto(f"/jobs/new/?dataset={dataset.pk}")
    page.get_by_label("Name", exact=True).fill("Day to night")
    page.get_by_label("Prompt").fill("turn day into night")
    page.get_by_label("Steps", exact=True).fill("450")


def start(page: Page) -> None:
    """Press as long as a person does: what leaving a field changes must not move the button meanwhile."""
    page.get_by_role("button", name="Start job").click(delay=150)


def sign_in(page: Page, user: User) -> None:
    page.get_by_label("E-mail").fill(user.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def alert(page: Page) -> Locator:
    return page.locator("#failures [role=alert]")


def bad_gateway(route: Route) -> None:
    route.fulfill(status=502, body="<h1>Bad Gateway</h1>")
