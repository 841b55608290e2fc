"""Makes docs/screenshots anew (`make screenshots`): a portal of its own, real trainings, three looks."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from pathlib import Path

import django
from playwright.sync_api import Browser, Page, sync_playwright

HERE = tempfile.mkdtemp(prefix="screenshots-")
os.environ.update(DJANGO_SETTINGS_MODULE="finetune_portal.settings", DATA_DIR=f"{HERE}/data")
django.setup()

from tests.e2e.conftest import (  # noqa: E402 - needs the settings
    CHROMIUM_FLAGS,
    EMAIL,
    PASSWORD,
    ROOT,
    Portal,
    chromium_path,
    write_sample,
)
from tests.waiting import until  # noqa: E402

FOLDER = ROOT / "docs" / "screenshots"
LOOKS = {
    "light": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
    "390": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "device_scale_factor": 2},
}
ENDED = ".badge:is([data-tone=good], [data-tone=bad], [data-state=trained])"
ALL_PICTURES = """Promise.all([...document.images].map((image) => {
    image.loading = "eager";
    return image.decode().catch(() => null);
}))"""
# Names steer the local engine's scenarios, see docs/engine.md.
TRAININGS = [
    ("Evening streets", "0.0001", "1000"),
    ("Winter coats fail-training", "0.005", "300"),
    ("Old film refuse-credits", "0.0004", "300"),
    ("Neon signs never-deploys", "0.0004", "500"),
    ("Day to night", "0.0004", "300"),
    ("Snow slow", "0.0002", "2000"),
]


def sign_in(page: Page) -> None:
    page.goto("/login/")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")


def start(page: Page, zip_file: Path, name: str, rate: str, steps: str) -> str:
    """Train once by clicking; answers the job's address."""
    page.goto("/jobs/new/")
    page.get_by_label("Choose files: a ZIP file").set_input_files(zip_file)
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Prompt").fill("turn day into night, with a moon and lit windows")
    page.get_by_label("Learning rate").fill(rate)
    page.get_by_label("Steps", exact=True).fill(steps)
    page.locator("#dataset-status .badge[data-tone=good]").wait_for()
    page.get_by_role("button", name="Start job").click()
    page.wait_for_url(re.compile(r"/jobs/\d+/"))
    return page.url


def start_sweep(page: Page, name: str) -> str:
    """Train several values by clicking; answers the address of the table in which the sweep is unfolded."""
    page.goto("/jobs/new/?dataset=1")
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Learning rate").fill("0.0001; 0.0004")
    page.get_by_role("button", name="Start job").click()
    page.get_by_role("button", name="Start 2 jobs").click()
    page.wait_for_url(re.compile("sweep="))
    page.goto("/")
    page.get_by_text("2 of 2 done").wait_for()
    page.get_by_role("button", name=re.compile(name)).click()
    page.wait_for_url(re.compile("unfold"))
    return page.url


def make_project(page: Page, *, job: str) -> str:
    """Make a private project of this job by clicking; answers its address."""
    page.goto("/settings/projects/")
    page.get_by_label("Name").fill("Winter campaign")
    page.get_by_role("button", name="Add project").click()
    page.wait_for_url(re.compile(r"/projects/\d+/"))
    project = page.url
    page.get_by_role("button", name="Make private").click()
    page.get_by_text("Private: only its members and admins").wait_for()
    page.goto(job)
    page.get_by_text("Edit name, note, tags and project").click()
    page.get_by_label("Project").select_option("Winter campaign")
    page.get_by_role("button", name="Move").click()
    page.get_by_text("Winter campaign").first.wait_for()
    return project


def prepare(page: Page, folder: Path) -> dict[str, str]:
    """Fill the portal with jobs in many states; answers the pages to show."""
    jobs = {}
    for name, rate, steps in TRAININGS:
        zip_file = folder / f"{name.split()[-1]}.zip"
        write_sample(zip_file)
        jobs[name] = start(page, zip_file, name, rate, steps)
        if not name.endswith("slow"):
            page.locator(ENDED).first.wait_for()
    sweep = start_sweep(page, "Hats")
    project = make_project(page, job=jobs["Evening streets"])
    return {
        "jobs": sweep,
        "grid": "/?layout=grid",
        "new": "/jobs/new/?dataset=1",
        "job-ready": jobs["Day to night"],
        "job-failed": jobs["Winter coats fail-training"],
        "job-running": jobs["Snow slow"],
        "datasets": "/datasets/",
        "dataset": "/datasets/1/",
        "pair": "/datasets/1/pairs/0/",
        "captions": "/datasets/1/captions/",
        "compare": "/jobs/compare/?job=1&job=5&job=6",
        "settings": "/settings/",
        "webhooks": "/settings/webhooks/",
        "deliveries": "/settings/webhooks/deliveries/",
        "limits": "/settings/limits/",
        "notices": "/settings/notices/",
        "notifications": "/notifications/",
        "audit": "/audit/",
        "costs": "/costs/",
        "budgets": "/settings/budgets/",
        "projects": "/settings/projects/",
        "project": project,
        "models": "/settings/models/",
        "tokens": "/tokens/",
        "api": "/api/",
        "team": "/team/",
        "person": "/team/1/",
        "profile": "/profile/",
        "second-factor": "/profile/second-factor/",
        "not-found": "/nowhere/",
    }


def shoot(browser: Browser, portal: Portal, pages: dict[str, str], *, signed_in: bool) -> None:
    for look, options in LOOKS.items():
        context = browser.new_context(base_url=portal.url, reduced_motion="reduce", **options)
        page = context.new_page()
        if signed_in:
            sign_in(page)
        for name, address in pages.items():
            page.goto(address)
            page.wait_for_load_state("load")
            page.evaluate(ALL_PICTURES)
            page.screenshot(path=FOLDER / f"{name}-{look}.png", full_page=True)
        context.close()


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=CHROMIUM_FLAGS)
        fresh = Portal(Path(folder) / "fresh" / "data", is_prepared=False)
        portal = Portal(Path(folder) / "full" / "data")
        try:
            fresh.start(PORTAL_ADMIN_EMAIL="")
            until(lambda: "/setup/" in fresh.log_text(), why="the link to the first account is in the log")
            link = re.findall(r"/setup/\S+/", fresh.log_text())[0]
            shoot(browser, fresh, {"setup": link, "login": "/login/"}, signed_in=False)
            portal.start()
            page = browser.new_context(base_url=portal.url).new_page()
            sign_in(page)
            shoot(browser, portal, {"jobs-empty": "/", "datasets-empty": "/datasets/"}, signed_in=True)
            pages = prepare(page, Path(folder))
            shoot(browser, portal, pages, signed_in=True)
        finally:
            fresh.stop()
            portal.stop()
            browser.close()
            shutil.rmtree(HERE)
    sys.stdout.write(f"{len(list(FOLDER.glob('*.png')))} pictures in {FOLDER.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
