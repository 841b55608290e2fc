"""A sweep from its question to the comparison; the table by keyboard and by address; archived and back."""

from __future__ import annotations

import re
import uuid
from itertools import product

import pytest
from playwright.sync_api import Page, expect

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from finetune_portal.deletion import services as deletion
from finetune_portal.jobs.choices import State
from tests.people import make_dataset, make_job
from tests.web_server import WebServer

pytestmark = pytest.mark.browser


RATES, STEPS = ("0.0001", "0.0004"), (200, 300, 500)


@pytest.fixture
def sweep(page: Page, admin: User) -> Page:
    """The table of a sweep of two learning rates by three numbers of steps."""
    key, values = uuid.uuid4(), {"name": "Six moons", "dataset": make_dataset(admin)}
    for rate, steps in product(RATES, STEPS):
        make_job(admin, State.READY, sweep=key, learning_rate=float(rate), steps=steps, **values)
    page.goto(f"/?sweep={key}")
    expect(page.locator("#live")).to_have_attribute("data-link", "live")
    return page


def test_a_sweep_of_two_by_three_is_six_jobs_though_the_button_was_hit_twice(page: Page, admin: User) -> None:
    page.goto(f"/jobs/new/?dataset={make_dataset(admin).pk}")
    page.get_by_label("Name", exact=True).fill("Six moons")
    page.get_by_label("Prompt").fill("turn day into night")
    page.get_by_label("Learning rate").fill(", ".join(RATES))
    page.get_by_label("Steps", exact=True).fill(", ".join(map(str, STEPS)))
    page.get_by_role("button", name="Start job").click()
    expect(page.get_by_role("alert").filter(has_text="This starts 6 jobs")).to_be_visible()
    expect(page.get_by_label("Name", exact=True)).to_have_value("Six moons")
    page.get_by_role("button", name="Start 6 jobs").dblclick()
    page.wait_for_url(re.compile(r"sweep="))
    expect(page.locator("#job-table tbody tr")).to_have_count(6)
    expect(page.locator(".chip")).to_contain_text("One sweep")
    rows = page.locator("#job-table tbody tr")
    name = rows.first.locator(".name a bdi").inner_text()
    page.goto(f"/?q={name}")
    expect(rows).to_have_count(6)
    labels = set(rows.locator(".name a .number").all_inner_texts())
    assert labels == {f"{rate} · {steps} steps" for steps in STEPS for rate in RATES}


def test_a_sweep_is_compared(sweep: Page) -> None:
    page = sweep
    for row in page.locator("#job-table tbody tr").all()[:2]:
        row.get_by_role("checkbox").check()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Compare 2 jobs")
    expect(page.get_by_role("row", name=re.compile("Learning rate"))).to_contain_text("0.0004")


def test_selected_jobs_are_archived_and_restored(sweep: Page) -> None:
    page = sweep
    first = page.locator("#job-table tbody tr").first
    expect(page.locator("#job-table tbody tr").filter(has_text="Ready")).to_have_count(6)
    before = first.bounding_box()
    first.get_by_role("checkbox").check()
    expect(page.get_by_role("button", name="Archive", exact=True)).to_be_visible()
    assert first.bounding_box() == before, "no row moves away under the pointer"
    page.get_by_role("button", name="Archive", exact=True).click()
    expect(page.locator("#job-table tbody tr")).to_have_count(5)
    assert "sweep=" in page.url, "the filter stays"
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#messages")).to_contain_text("1 restored")
    expect(page.locator("#job-table tbody tr")).to_have_count(6)
    assert "sweep=" in page.url


def test_the_table_by_keyboard(sweep: Page) -> None:
    page = sweep
    page.keyboard.press("j")
    expect(page.locator("#job-table tbody tr").nth(0).locator(".name a")).to_be_focused()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    expect(page.locator("#job-table tbody tr").nth(1).locator(".name a")).to_be_focused()
    page.keyboard.press("x")
    expect(page.locator("#job-table tbody tr").nth(1).get_by_role("checkbox")).to_be_checked()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_hidden()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("moons n")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No matching jobs")).to_be_visible()
    page.get_by_role("searchbox").clear()
    expect(page.locator("#job-table tbody tr")).to_have_count(6)
    page.get_by_role("searchbox").blur()
    page.keyboard.press("n")
    expect(page.get_by_role("heading", level=1)).to_have_text("New job")


def test_selected_jobs_and_filters_by_keyboard(sweep: Page) -> None:
    page, rows, press = sweep, sweep.locator("#job-table tbody tr"), sweep.keyboard.press
    for key in ("j", "x", "j", "x", "b"):
        press(key)
    expect(page.get_by_role("button", name="Compare")).to_be_focused()
    for _ in range(3):
        press("Tab")
    press("Enter")
    expect(rows).to_have_count(4)
    press("Shift+Tab")
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    press("Enter")
    expect(rows).to_have_count(6)
    expect(page.locator("#live")).to_have_attribute("data-link", "live")  # the scripts of the page run
    for key in ("/", "Tab", "Tab", "Enter", "Tab"):
        press(key)
    expect(page.get_by_label("Person")).to_be_focused()
    press("Escape")
    expect(page.locator("#filter-menu")).not_to_have_attribute("open", "")
    expect(page.locator("#filter-menu > summary")).to_be_focused()
    press("j")
    name = rows.first.locator(".name a").inner_text()
    press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


@pytest.mark.long
def test_filters_survive_a_reload_and_back(sweep: Page) -> None:
    """They stand in the address, and the page that comes back is the same, and still live."""
    page, rows = sweep, sweep.locator("#job-table tbody tr")
    page.get_by_text("Filter", exact=True).click()
    page.get_by_role("combobox", name="Visibility").select_option("off")
    page.get_by_label("Order").select_option("oldest")
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url(re.compile("sort=oldest"))
    page.get_by_role("link", name="Only mine").click()
    page.wait_for_url(re.compile("mine=on"))
    page.get_by_role("searchbox").fill("moons")
    page.get_by_role("searchbox").press("Enter")
    page.wait_for_url(re.compile("q=moons"))
    names = rows.locator(".name").all_inner_texts()

    def is_kept() -> None:
        for part in ("sweep=", "public=off", "sort=oldest", "mine=on", "q=moons"):
            assert part in page.url
        expect(rows).to_have_count(6)
        assert rows.locator(".name").all_inner_texts() == names
        expect(page.get_by_role("searchbox")).to_have_value("moons")
        expect(page.get_by_label("Order")).to_have_value("oldest")
        expect(page.get_by_role("link", name="Only mine")).to_have_attribute("aria-current", "true")
        expect(page.locator("#live")).to_have_attribute("data-link", "live")

    is_kept()
    page.reload()
    is_kept()
    rows.first.locator(".name a").click()
    expect(page.locator("#job")).to_be_visible()
    page.go_back()
    is_kept()
    page.go_back()
    assert "q=moons" not in page.url
    expect(page.get_by_role("searchbox")).to_have_value("")
    page.go_forward()
    is_kept()


def test_jobs_are_selected_all_at_once_and_as_a_range(page: Page, admin: User) -> None:
    for number in range(5):
        make_job(admin, State.READY, name=f"Job {number}")
    page.goto("/")
    boxes = page.get_by_role("checkbox", name=re.compile("^Select Job"))
    all_of_them = page.get_by_role("checkbox", name="Select all jobs on this page")
    all_of_them.check()
    expect(page.get_by_text("5 selected")).to_be_visible()
    boxes.nth(2).uncheck()
    expect(page.get_by_text("4 selected")).to_be_visible()
    assert all_of_them.evaluate("(box) => box.indeterminate")
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_text("selected")).to_be_hidden()
    boxes.nth(1).click()
    boxes.nth(3).click(modifiers=["Shift"])
    expect(page.get_by_text("3 selected")).to_be_visible()
    assert [boxes.nth(number).is_checked() for number in range(5)] == [False, True, True, True, False]


def test_a_selected_job_that_somebody_deletes_is_selected_no_longer(page: Page, admin: User) -> None:
    jobs = [make_job(admin, State.READY, name=f"Job {number}") for number in range(3)]
    page.goto("/")
    boxes = page.get_by_role("checkbox", name=re.compile("^Select Job"))
    boxes.nth(0).check()
    boxes.nth(1).check()
    page.mouse.move(0, 0)
    boxes.nth(1).blur()
    deletion.delete_job(jobs[2], actor=admin)
    expect(boxes).to_have_count(2)
    expect(page.get_by_text("1 selected")).to_be_visible()


def test_headings_sort_the_table(page: Page, admin: User) -> None:
    for name in ("Beta", "Alpha", "Gamma"):
        make_job(admin, State.READY, name=name)
    page.goto("/")
    names = page.locator("#job-table tbody .name a")
    expect(names).to_have_text(["Gamma", "Alpha", "Beta"])
    page.get_by_role("columnheader", name="Job").get_by_role("link").click()
    expect(names).to_have_text(["Alpha", "Beta", "Gamma"])
    started = page.get_by_role("columnheader", name="Started")
    started.get_by_role("link").click()
    expect(names).to_have_text(["Gamma", "Alpha", "Beta"])
    expect(started).to_have_attribute("aria-sort", "descending")
    started.get_by_role("link").click()
    expect(names).to_have_text(["Beta", "Alpha", "Gamma"])
    expect(started).to_have_attribute("aria-sort", "ascending")


@pytest.mark.long
def test_the_selection_is_there_after_the_comparison(page: Page, web: WebServer, admin: User) -> None:
    """And the download of links says on the page that it came."""
    jobs = [make_job(admin, "ready", request_id=f"r-{n}", cloud_storage_url="x") for n in range(3)]
    page.goto("/")
    for job in jobs[:2]:
        page.locator(f"#select-{job.pk}").check()
    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Compare 2 jobs")
    page.go_back()
    expect(page.locator("[name=job]:checked")).to_have_count(2)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download links").click()
    assert download.value.suggested_filename == "download-links.txt"
    expect(page.get_by_text("“download-links.txt” was downloaded.")).to_be_visible()
    page.goto("/team/")
    page.goto("/")
    expect(page.locator("[name=job]:checked")).to_have_count(0)


def test_a_row_shows_its_actions_under_the_pointer_and_the_focus(page: Page, admin: User) -> None:
    job = make_job(admin, State.TRAINING, name="Hats", request_id="1")
    Connection.objects.update(capabilities=["cancel"])
    page.goto("/")
    row, cancel = page.locator(f"#job-{job.pk}"), page.get_by_role("button", name="Cancel job: Hats")
    actions = row.locator(".stop")
    expect(actions).to_have_css("opacity", "0")
    before = row.bounding_box()
    row.hover()
    expect(actions).to_have_css("opacity", "1")
    page.mouse.move(0, 0)
    expect(actions).to_have_css("opacity", "0")
    cancel.focus()
    expect(actions).to_have_css("opacity", "1")
    assert row.bounding_box() == before
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Cancel the job").click()
    expect(row.locator(".badge")).to_have_text("Cancelling…")
    expect(cancel).to_have_count(0)


def test_the_table_is_searched_as_one_types(page: Page, admin: User) -> None:
    for name in ("Hats", "Hat stands", "Snow"):
        make_job(admin, State.READY, name=name)
    page.goto("/?sort=name")
    expect(page.locator("#live")).to_have_attribute("data-link", "live")
    names, box = page.locator("#job-table tbody .name a"), page.get_by_role("searchbox")
    page.evaluate("window.sameDocument = true")
    page.keyboard.press("/")
    page.keyboard.type("hat")
    expect(names).to_have_text(["Hat stands", "Hats"])
    expect(page.locator("#search-status")).to_have_text("2 jobs on this page match “hat”.")
    page.keyboard.type("s")
    expect(names).to_have_text(["Hats"])
    assert "q=hats" in page.url
    assert "sort=name" in page.url
    new = make_job(admin, State.QUEUED, name="Hats again")
    expect(page.locator(f"#job-{new.pk}")).to_be_visible()
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Grid").focus()
    expect(page.get_by_role("link", name="Grid")).to_have_attribute("href", re.compile("q=hats"))
    box.focus()
    page.keyboard.press("Control+a")
    page.keyboard.press("Delete")
    expect(names).to_have_count(4)
    expect(box).to_be_focused()
    assert page.evaluate("window.sameDocument")
    box.fill("nothing like it")
    expect(page.get_by_text("No matching jobs")).to_be_visible()
    page.reload()
    expect(box).to_have_value("nothing like it")
