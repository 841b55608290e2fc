"""The command palette in a browser, by keys alone."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from finetune_portal.accounts.models import User
from finetune_portal.jobs.choices import State
from tests.e2e.axe import faults
from tests.people import make_job

pytestmark = pytest.mark.browser


def test_pages_jobs_and_actions_by_keys(page: Page, admin: User) -> None:
    job, press = make_job(admin, State.READY, name="Hats & more"), page.keyboard.press
    page.goto("/team/")
    dialog = page.get_by_role("dialog", name="Command palette")
    field, selected = dialog.get_by_role("combobox"), dialog.get_by_role("option", selected=True)
    button = page.get_by_role("button", name="Search and commands")
    button.click()
    expect(field).to_be_focused()
    expect(selected).to_contain_text("New job")
    press("ArrowUp")
    press("ArrowDown")
    press("ArrowDown")
    expect(selected).to_contain_text("Train the sample")
    assert faults(page) == []
    press("Escape")
    expect(button).to_be_focused()

    held: list[Route] = []
    page.route("**/*q=hats", lambda route: held.append(route), times=1)  # noqa: PLW0108
    press("Control+k")
    with page.expect_request("**/*q=hats"):
        page.keyboard.type("hats")
    press("Enter")
    press("Escape")
    held[0].fulfill(response=held[0].fetch())
    press("Control+k")
    expect(selected).to_contain_text("New job")
    page.keyboard.type("hats")
    press("Enter")  # before the results are there
    page.wait_for_url(f"**{job.get_absolute_url()}")
    press("g")
    press("c")
    page.wait_for_url("**/costs/")
    press("?")
    page.keyboard.type("dark")
    expect(selected).to_contain_text("Dark appearance")
    press("Enter")
    expect(page.locator("html")).to_have_attribute("data-look", "dark")

    page.context.set_offline(True)
    press("Control+k")
    expect(dialog).to_contain_text("You are offline.")
    page.context.set_offline(False)
    page.keyboard.type("sign out")
    expect(selected).to_contain_text("Sign out")
    press("Enter")
    page.wait_for_url(re.compile("/login/"))
