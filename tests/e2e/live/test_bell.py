"""The bell of the top bar in a browser: it counts while the page is open, and lists when it opens."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from finetune_portal.accounts.models import User
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.timeline import Source, move
from finetune_portal.notifications import history
from tests.e2e.live.conftest import Open
from tests.e2e.live.looking import says
from tests.people import make_job

pytestmark = pytest.mark.browser


def test_the_bell_counts_at_once_and_is_read_when_it_opens(visit: Open, alice: User) -> None:
    job = make_job(alice, State.TRAINING, name="Watched")
    page = visit(alice)
    says(page, "Live")
    bell = page.locator("summary", has_text="Notifications")
    expect(bell).not_to_contain_text("unread")
    move(job, State.READY, "Ready", source=Source.POLL)
    expect(bell).to_contain_text("1 unread")
    bell.click()
    link = page.get_by_role("link", name="Unread: “Watched” is ready")
    expect(link).to_be_visible()
    expect(bell).not_to_contain_text("unread")
    assert history.unread_count(alice) == 0
    page.keyboard.press("Escape")
    expect(link).to_be_hidden()
    expect(bell).to_be_focused()
