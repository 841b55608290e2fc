"""A filtered table is as live as any: rows come, go and are counted as the filter says."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from finetune_portal.accounts.models import User
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job
from tests.e2e.live.conftest import Open
from tests.e2e.live.looking import badge, is_moved, live, says
from tests.people import make_dataset, make_job, person

pytestmark = [pytest.mark.browser, pytest.mark.long]


def test_a_new_job_comes_in_on_top_where_it_belongs(visit: Open, alice: User) -> None:
    make_job(alice, State.READY, name="Old")
    bob = person("bob", "maker")
    page, ready, his = visit(alice), visit(alice, "/?state=ready"), visit(bob, "/?mine=on&state=active")
    sought = visit(alice, "/?q=ne")
    [asked, *_] = live(page, ready, his, sought)
    new = make_job(bob, State.QUEUED, name="New")
    first = page.locator("#job-table tbody tr").first
    expect(first).to_contain_text("New")
    expect(first).to_have_attribute("data-new", "")
    assert asked == [], "it was pushed"
    expect(ready.locator("[data-filter=''] span")).to_have_text("2")
    expect(ready.locator(f"#job-{new.pk}")).to_have_count(0)
    expect(his.locator(f"#job-{new.pk}")).to_be_visible()
    expect(sought.locator(f"#job-{new.pk}")).to_be_visible()
    expect(first).not_to_have_attribute("data-new", "")


def test_a_row_that_fits_no_more_leaves_but_not_from_under_someones_hands(visit: Open, alice: User) -> None:
    job, selected = make_job(alice, State.TRAINING), make_job(alice, State.TRAINING, name="Selected")
    page = visit(alice)
    page.clock.install()
    page.goto("/?state=active")
    says(page, "Live")
    page.get_by_label("Select Selected").check()
    for each in (job, selected):
        is_moved(each, State.READY)
        badge_of = page.locator(f"#job-{each.pk} .badge")
        expect(badge_of).to_contain_text("Ready")
        expect(page.locator(f"#job-{each.pk}")).to_have_attribute("data-filtered-out", "")
    page.clock.fast_forward(9000)
    expect(page.locator(f"#job-{job.pk}")).to_have_count(0)
    expect(page.locator(f"#job-{selected.pk}")).to_be_visible()
    page.get_by_label("Select Selected").uncheck()
    page.get_by_label("Select Selected").blur()
    page.clock.fast_forward(9000)
    expect(page.locator(f"#job-{selected.pk}")).to_have_count(0)


def test_a_job_that_someone_archives_leaves_everyones_table(visit: Open, alice: User) -> None:
    job = make_job(alice, State.READY)
    page = visit(person("charlie", "viewer"))
    page.clock.install()
    page.reload()
    says(page, "Live")
    archived = visit(alice, "/?archived=on")
    says(archived, "Live")
    Job.objects.filter(pk=job.pk).update(archived_at="2026-01-01T00:00Z", updated_at="2100-01-01T00:00Z")
    expect(page.locator(f"#job-{job.pk}")).to_have_attribute("data-filtered-out", "")
    page.clock.fast_forward(9000)
    expect(page.locator(f"#job-{job.pk}")).to_have_count(0)
    expect(archived.locator(f"#job-{job.pk}")).to_be_visible()


def test_the_counts_of_a_narrow_table_are_its_own(visit: Open, alice: User) -> None:
    bob = person("bob", "maker")
    winter = make_dataset(alice, name="Winter")
    hers, his = make_job(alice, State.TRAINING, dataset=winter), make_job(bob, State.TRAINING)
    mine, of_winter = visit(alice, "/?mine=on"), visit(alice, f"/?dataset={winter.pk}")
    asked = live(mine, of_winter)
    is_moved(his, State.READY)
    whole = visit(alice)
    expect(whole.locator("[data-filter=ready] span")).to_have_text("1")
    for page in (mine, of_winter):
        expect(page.locator("[data-filter=ready] span")).to_have_text("0")
    assert asked == [[], []], "what is foreign for certain needs no look"
    is_moved(hers, State.READY)
    for page in (mine, of_winter):
        badge(page, hers, "Ready")
        expect(page.locator("[data-filter=ready] span")).to_have_text("1")
