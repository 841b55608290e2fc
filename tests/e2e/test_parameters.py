"""Advanced in the form of a new job: errors at their fields, presets, and another connection's parameters."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.sessions.models import Session
from playwright.sync_api import Page, Route, expect

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.connections.models import Connection
from finetune_portal.jobs.models import Job, Preset
from tests.jobs.test_expected_time import trained
from tests.people import PASSWORD, make_dataset
from tests.running import RunningEngine
from tests.worker.driving import followed_until, jobs_at_provider, point_at, send_now, transfer_now

pytestmark = pytest.mark.browser


def open_form(page: Page, dataset: int) -> None:
    page.goto(f"/jobs/new/?dataset={dataset}")
    page.get_by_label("Name", exact=True).fill("Day to night")
    page.get_by_label("Prompt").fill("turn day into night")


def start(page: Page) -> None:
    page.get_by_role("button", name="Start job").click()


def test_a_wrong_rank_is_said_at_its_field_and_the_right_one_is_trained(
    page: Page, admin: User, engine: RunningEngine, settings: Any
) -> None:
    point_at(settings, engine)
    dataset = make_dataset(admin, stored=False)
    transfer_now(dataset)
    open_form(page, dataset.pk)
    rank, advanced = page.get_by_label("Rank"), page.locator("#advanced")
    expect(rank).to_be_hidden()
    advanced.get_by_text("Advanced", exact=True).click()
    rank.fill("999")
    page.get_by_label("Hold out").select_option("No")
    start(page)
    expect(rank).to_be_focused()
    expect(rank).to_have_accessible_description(
        "The rank of the LoRA. 1 to 256; 16 if empty. Rank must be a whole number from 1 to 256."
    )
    expect(page.get_by_label("Hold out")).to_have_value("false")
    rank.fill("32")
    start(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Day to night")
    expect(page.locator(".facts")).to_contain_text("Rank32")
    job = send_now(Job.objects.get())
    assert (
        jobs_at_provider(engine, job)[0]["advance_parameters"].items()
        >= {"rank": 32, "hold_out": False}.items()
    )
    assert followed_until(job).state == "ready"


def test_presets_fill_them_and_another_connection_swaps_them(page: Page, admin: User) -> None:
    """What the other connection does not take is said, and is there again on the way back."""
    further = {"rank": 32, "hold_out": False}
    Preset.objects.create(owner=admin, name="Hats", learning_rate=1e-4, steps=500, parameters=further)
    connections.built_in()
    vendor = connections.add(name="Vendor", base_url="https://api.segmind.com", key="sk-a", actor=admin)
    Connection.objects.filter(pk=vendor.pk).update(parameters=[])
    open_form(page, make_dataset(admin).pk)
    rank, hold_out = page.get_by_label("Rank"), page.get_by_label("Hold out")
    others = page.get_by_label("Other parameters")
    hats, quick = (page.get_by_role("button", name=name) for name in ("Hats 500", "Quick look"))
    page.locator("#advanced").get_by_text("Advanced", exact=True).click()
    page.get_by_label("Seed").fill("7")
    expect(quick).to_have_attribute("aria-pressed", "false")
    hats.click()
    expect(hats).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("status").filter(has_text="Back at the default: Seed.")).to_be_visible()
    expect(rank).to_have_value("32")
    expect(hold_out).to_have_value("false")
    page.get_by_role("radio", name="Vendor").check()
    expect(others).to_have_value("rank=32, hold_out=false")
    expect(others).to_have_accessible_description(
        "“Vendor” does not take these. Clear the field to train without them."
    )
    expect(rank).to_have_count(0)
    quick.click()
    expect(others).to_be_hidden()
    expect(page.get_by_text("Advanced", exact=True)).to_be_hidden()
    hats.click()
    expect(others).to_have_value("rank=32, hold_out=false")
    expect(hats).to_have_attribute("aria-pressed", "true")
    page.locator("[name=offer]").first.check()
    expect(rank).to_have_value("32")
    expect(hold_out).to_have_value("false")
    expect(hats).to_have_attribute("aria-pressed", "true")


def test_they_are_there_again_after_the_session_ended(page: Page, admin: User) -> None:
    vendor = connections.add(name="Vendor", base_url="https://api.segmind.com", key="sk-a", actor=admin)
    Connection.objects.filter(pk=vendor.pk).update(parameters=[])
    engine = connections.built_in()
    connections.make_default(vendor, actor=admin)
    open_form(page, make_dataset(admin).pk)
    page.locator(f"[name=offer][value='{engine.pk}']").check()
    page.locator("#advanced").get_by_text("Advanced", exact=True).click()
    page.get_by_label("Rank").fill("32")
    Session.objects.all().delete()
    start(page)
    page.get_by_label("E-mail").fill(admin.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_label("Rank")).to_have_value("32")
    expect(page.locator(f"[name=offer][value='{engine.pk}']")).to_be_checked()


def test_the_time_follows_steps_parameters_presets_and_connection(page: Page, admin: User) -> None:
    engine = connections.built_in()
    connections.add(name="Vendor", base_url="https://api.segmind.com", key="sk-a", actor=admin)
    for seconds in (239, 240, 241):
        trained(admin, seconds, steps=1000)
    open_form(page, make_dataset(admin).pk)
    price, steps = page.locator("#price"), page.get_by_label("Steps", exact=True)
    expect(price).not_to_contain_text("once it trains")
    page.get_by_role("button", name="Balanced").click()
    expect(price).to_contain_text("About 4 min once it trains, based on the team’s last 3 jobs like it.")
    steps.fill("2000")
    steps.blur()
    expect(price).to_contain_text("About 8 min once")
    expect(page.locator("#preset-balanced")).to_have_text("About 4 min")
    page.get_by_role("radio", name="Vendor").check()
    expect(page.locator("#preset-balanced")).to_be_hidden()
    expect(price).not_to_contain_text("once it trains")
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/jobs/new/parameters/**", hold)
    with page.expect_request("**/jobs/new/parameters/**"):
        page.locator(f"[name=offer][value='{engine.pk}']").check()
    page.get_by_role("button", name="Balanced").click()
    expect(price).to_contain_text("About 4 min once")
    held[0].continue_()
    expect(page.get_by_label("Rank")).to_have_count(1)
    expect(price).to_contain_text("About 4 min once")
    page.locator("#advanced").get_by_text("Advanced", exact=True).click()
    page.get_by_label("Batch size").fill("4")
    page.get_by_label("Batch size").blur()
    expect(price).not_to_contain_text("once it trains")
    page.get_by_label("Batch size").fill("")
    page.get_by_label("Batch size").blur()
    expect(price).to_contain_text("About 4 min once")
