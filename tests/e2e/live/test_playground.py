"""The playground of an open job page: runs that somebody else or the portal began appear by themselves."""

from __future__ import annotations

import pytest
from django.utils.timezone import now
from playwright.sync_api import expect

from finetune_portal.accounts.models import User
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.services import note_pictures
from finetune_portal.playground.models import Generation
from tests.e2e.live.conftest import Open
from tests.e2e.live.looking import says
from tests.people import make_dataset, make_generation, make_job

pytestmark = pytest.mark.browser


def test_first_results_appear_and_what_was_typed_stays(visit: Open, alice: User) -> None:
    Connection.objects.update(capabilities=["run"])
    job = make_job(alice, "ready", request_id="r-1", slug="hats-1", dataset=make_dataset(alice))
    page = visit(alice, f"/jobs/{job.pk}/")
    says(page, "Live")
    prompt = page.locator("#playground [name=prompt]")
    prompt.fill("a hat of straw")
    made = [make_generation(job).pk for _ in range(2)]
    runs = Generation.objects.filter(pk__in=made)
    runs.update(state="running", started_at=now())
    note_pictures(job)
    earlier = page.locator("#playground .generations li")
    expect(earlier).to_have_count(2)
    expect(page.locator("#generation")).to_contain_text("Being made")
    runs.update(state="done")
    note_pictures(job)
    expect(earlier.locator(".badge")).to_have_count(0)
    expect(page.locator("#generation").get_by_alt_text("Result of the model: night")).to_be_visible()
    expect(prompt).to_have_value("a hat of straw")
