"""A start that fails, is lost or comes too early: what is said, and that no job is started twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from finetune_portal.accounts.models import User
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Job
from tests.e2e.axe import OF_COLOURS, faults
from tests.e2e.dropping import PNG, choose_files, choose_folder, five_pairs, laid_out, packed
from tests.e2e.failing import alert, fill_form, start
from tests.web_server import WebServer

pytestmark = pytest.mark.browser


def test_start_says_that_nothing_was_started_and_tries_again(page: Page, web: WebServer, admin: User) -> None:
    fill_form(page, web, admin)
    page.context.set_offline(True)
    start(page)
    expect(alert(page)).to_contain_text("You are offline. Nothing was started.")
    expect(page.locator("#price")).to_have_text("You are offline. The price and the time are not known now.")
    assert faults(page) == []
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    assert faults(page, OF_COLOURS) == []
    page.context.set_offline(False)
    assert not Job.objects.exists()
    page.get_by_label("Steps", exact=True).fill("500")
    alert(page).get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Day to night")
    expect(alert(page)).to_have_count(0)
    assert Job.objects.get().steps == 500, "with what was typed in the meantime"


def test_a_lost_answer_does_not_start_a_second_job(page: Page, web: WebServer, admin: User) -> None:
    """Cases 24 and 56: the portal started the job, and its answer was lost."""
    fill_form(page, web, admin)

    def lose(route: Route) -> None:
        route.fetch()
        route.fulfill(status=502, body="<h1>Bad Gateway</h1>")

    page.route("**/jobs/new/", lose)
    start(page)
    expect(alert(page)).to_contain_text("“Try again” starts nothing twice.")
    page.unroute("**/jobs/new/")
    alert(page).get_by_role("button", name="Try again").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Day to night")
    assert Job.objects.count() == 1


@pytest.mark.parametrize("name", ["Day to night", None], ids=["typed", "suggested"])
def test_two_clicks_on_start_make_one_job(page: Page, web: WebServer, admin: User, name: str | None) -> None:
    """Case 56."""
    fill_form(page, web, admin)
    if name is None:
        page.reload()  # the name that the form suggests
    page.get_by_role("button", name="Start job").dblclick()
    expect(page.get_by_role("heading", level=1)).to_have_text(name or Dataset.objects.get().name)
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("New job")
    start(page)
    expect(page.get_by_text("Enter a name for the job.")).to_be_visible()
    assert Job.objects.count() == 1


def test_start_waits_for_the_answer_to_a_question(
    page: Page, web: WebServer, admin: User, tmp_path: Path
) -> None:
    """Another dataset is selected, and a folder with a guessed layout was dropped."""
    page.on("dialog", lambda dialog: dialog.accept())
    fill_form(page, web, admin)
    files = {f"{half}/{n}.png": PNG for half in ("before", "after") for n in range(3)}
    choose_folder(page, laid_out(tmp_path / "set", files))
    question = page.get_by_role("button", name="Pack and upload")
    expect(question).to_be_visible()
    start(page)
    expect(page.get_by_text("Nothing was started. Answer the question about your files")).to_be_visible()
    expect(question).to_be_focused()
    question.click()
    expect(page.locator("#dataset-status")).to_contain_text("set")
    start(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Day to night")
    assert Job.objects.get().dataset.filename == "set.zip"


def test_start_waits_while_a_file_is_read(page: Page, web: WebServer, admin: User, tmp_path: Path) -> None:
    whole = tmp_path / "hats.zip"
    whole.write_bytes(packed(five_pairs()))
    page.on("dialog", lambda dialog: dialog.accept())
    fill_form(page, web, admin)
    page.route("**/uploads/", lambda route: None)  # not yet begun
    choose_files(page, whole)
    expect(page.locator("[data-preview] .pair")).to_have_count(5)
    start(page)
    expect(page.get_by_text("Nothing was started. Your files are still being read.")).to_be_visible()
    assert not Job.objects.exists()


def test_the_summary_shows_no_figure_of_what_was_typed_before(
    page: Page, web: WebServer, admin: User
) -> None:
    """While the new one is on its way the old one is marked, and readers skip it; Start stays in place."""
    fill_form(page, web, admin)
    plan, button = page.locator("#plan"), page.get_by_role("button", name="Start job")
    figures = plan.locator(".figures")
    expect(figures).to_contain_text("450 steps")
    expect(plan).not_to_have_attribute("aria-busy", "true")
    place = button.bounding_box()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/jobs/new/price/**", hold)
    with page.expect_request("**/jobs/new/price/**"):
        page.get_by_label("Steps", exact=True).fill("900")
    expect(plan).to_have_attribute("aria-busy", "true")
    expect(button).to_have_accessible_description("")
    held[0].abort()
    expect(figures).to_be_hidden()
    expect(plan.get_by_text("Price and time unknown")).to_be_visible()
    expect(page.locator("#price")).to_contain_text("The price and the time are not known now.")
    assert button.bounding_box() == place
    page.unroute("**/jobs/new/price/**")
    page.get_by_role("button", name="Try again").click()
    expect(figures).to_contain_text("900 steps")
    expect(figures).to_be_visible()
    expect(page.get_by_role("button", name="Try again")).to_be_hidden()
    assert button.bounding_box() == place
