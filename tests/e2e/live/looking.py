"""What the tests of the live pages look for, and the changes that they make."""

from __future__ import annotations

import re
from functools import partial

from playwright.sync_api import Page, expect

from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.timeline import Source, move
from tests.waiting import until

LOOKS = "document.querySelector('.htmx-request') !== null"
PUBLISHED = {"request_id": "1", "slug": "s", "cloud_storage_url": "https://a.example/night.safetensors"}


def says(page: Page, words: str | re.Pattern[str]) -> None:
    expect(page.locator("[data-live-text]")).to_contain_text(words)


def badge(page: Page, job: Job, words: str) -> None:
    expect(page.locator(f"#job-{job.pk} .badge, #job .badge").first).to_contain_text(words)


def is_moved(job: Job, to: State) -> None:
    """By the provider. No worker runs beside these pages, so no model file is asked to come home."""
    assert move(job, to, to.label, source=Source.POLL, file_check_requested_at=None)


def back_and_forth(page: Page, job: Job, times: int) -> None:
    """So many updates, each seen on the page before the next."""
    for number in range(times):
        to = (State.DEPLOYING, State.TRAINED)[number % 2]
        is_moved(job, to)
        badge(page, job, to.label)


def live(*pages: Page) -> list[list[str]]:
    """Wait until these pages hear the stream; return for each a list of the requests that it makes later.

    While a list is empty, what the page shows was pushed to it. A page looks when it goes live, and once more
    where it had begun to look before.
    """
    for page in pages:
        says(page, re.compile("^Live$"))
        until(partial(is_at_rest, page), why="the looks of the opening are over")
    return [polls(page) for page in pages]


def is_at_rest(page: Page) -> bool:
    return not page.evaluate(LOOKS)


def polls(page: Page) -> list[str]:
    """The addresses of all pieces that the page asks for from now on."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "seen=" in request.url else None)
    return asked
