"""What the tests of the live pages look for, and the changes that they make."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from finetune_portal.jobs.timeline import Source, move

PUBLISHED = {"request_id": "1", "slug": "s", "cloud_storage_url": "https://a.example/night.safetensors"}


def says(page: Page, words: str | re.Pattern[str]) -> None:
    expect(page.locator("[data-live-text]")).to_contain_text(words)


def badge(page: Page, job: Job, words: str) -> None:
    expect(page.locator(f"#job-{job.pk} .badge, #job .badge").first).to_contain_text(words)


def is_moved(job: Job, to: State) -> None:
    assert move(job, to, to.label, source=Source.POLL)


def back_and_forth(page: Page, job: Job, times: int) -> None:
    """So many updates, each seen on the page before the next."""
    for number in range(times):
        to = (State.DEPLOYING, State.TRAINED)[number % 2]
        is_moved(job, to)
        badge(page, job, to.label)


def live(*pages: Page) -> list[list[str]]:
    """Wait until these pages hear the stream; return for each a list of the requests that it makes later.

    While a list is empty, what the page shows was pushed to it.
    """
    for page in pages:
        says(page, re.compile("^Live$"))
        page.evaluate("document.title")  # a round trip: the first look, at the opening, is over
    return [polls(page) for page in pages]


def polls(page: Page) -> list[str]:
    """The addresses of all pieces that the page asks for from now on."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "seen=" in request.url else None)
    return asked
