"""The grid of results is as live as the table, and its cards are selected and opened by keyboard."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from finetune_portal.accounts.models import User
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Training
from finetune_portal.jobs.timeline import Source, move
from tests.people import make_job

pytestmark = pytest.mark.browser


def test_cards_come_change_and_are_used_by_keyboard(page: Page, admin: User) -> None:
    job, other = make_job(admin, State.TRAINING, name="Hats"), make_job(admin, State.READY, name="Snow")
    page.goto("/")
    page.get_by_role("link", name="Grid").click()
    cards = page.locator(".job-card")
    expect(cards).to_have_count(2)
    expect(page.locator("#live")).to_have_attribute("data-link", "live")
    for key in ("j", "j", "x"):
        page.keyboard.press(key)
    expect(page.get_by_text("1 selected")).to_be_visible()
    Training.objects.create(job=job, percent=40)
    card = page.locator(f"#job-{job.pk}")
    expect(card).to_contain_text("40 %")
    move(job, State.READY, "Ready", source=Source.POLL)
    expect(card.locator(".badge")).to_have_text("Ready")
    expect(card.get_by_role("checkbox")).to_be_checked()
    expect(card.get_by_role("link", name="Hats", exact=True)).to_be_focused()
    new = make_job(admin, State.QUEUED, name="New")
    expect(cards.first).to_have_id(f"job-{new.pk}")
    page.get_by_role("checkbox", name="Select all").check()
    expect(page.get_by_text("3 selected")).to_be_visible()
    page.locator(f"#job-{other.pk} .card-picture").click(force=True)  # the link of the name lies over it
    expect(page.get_by_role("heading", level=1)).to_have_text("Snow")
    page.get_by_role("link", name="Jobs", exact=True).first.click()
    expect(cards).to_have_count(3)
