"""The training on the job page in a real Chromium: the curve grows where it stands, the slider stays."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils.timezone import now
from playwright.sync_api import Page, expect

from finetune_portal.accounts.models import User
from finetune_portal.jobs.choices import State
from finetune_portal.jobs.models import Job, Training
from tests.e2e.axe import faults, fit
from tests.e2e.live.conftest import Open
from tests.e2e.live.looking import is_moved, says
from tests.people import make_job, make_samples
from tests.waiting import until

pytestmark = pytest.mark.browser
# Whether the canvas has a pixel in the colour of each mark of the legend.
DRAWN = """() => {
    const canvas = document.querySelector(".uplot canvas").getContext("2d");
    const { data } = canvas.getImageData(0, 0, canvas.canvas.width, canvas.canvas.height);
    const pixel = (at) => data.slice(4 * at, 4 * at + 4).join();
    const drawn = new Set(Array.from({ length: data.length / 4 }, (_, at) => pixel(at)));
    return Array.from(document.querySelectorAll(".u-marker"), (mark) => {
        const one = new OffscreenCanvas(1, 1).getContext("2d");
        one.fillStyle = getComputedStyle(mark).backgroundColor;
        one.fillRect(0, 0, 1, 1);
        return drawn.has(one.getImageData(0, 0, 1, 1).data.join());
    });
}"""


@pytest.fixture
def job(alice: User) -> Job:
    job = make_job(alice, "training", steps=100, request_id="r-1")
    make_samples(job, "control", "target", *map(str, range(0, 101, 20)))
    Training.objects.create(job=job)
    return job


def tells(step: int, **more: Any) -> None:
    """What the worker writes down of a training that is so far."""
    fields = {
        "percent": step,
        "step": step,
        "losses": [[number, 1 - number / 200] for number in range(1, step + 1)],
        "held_out": [[number, 0.8 - number / 300] for number in range(0, step + 1, 20)],
        "samples": list(range(0, step + 1, 20)),
        "updated_at": now(),
    }
    Training.objects.update(**fields | more)


def points(page: Page) -> int:
    return page.evaluate("JSON.parse(document.getElementById('curve').dataset.losses).length")


def test_the_curve_grows_where_it_stands(visit: Open, alice: User, job: Job) -> None:
    tells(10)
    page = visit(alice, f"/jobs/{job.pk}/")
    says(page, "Live")
    expect(page.locator(".uplot canvas")).to_be_visible()
    until(lambda: page.evaluate(DRAWN) == [True, False, True, True], why="the curves are drawn")
    page.evaluate("document.querySelector('.uplot').isTheSame = true")
    for step in (30, 50):
        tells(step)
        expect(page.locator("#training-progress")).to_contain_text(f"step {step} of 100")
        until(lambda wanted=step: points(page) == wanted, why="the curve has grown")
        expect(page.get_by_role("img", name="The loss went from")).to_be_visible()
        page.locator(".u-over").hover(position={"x": 5, "y": 5})
        expect(page.locator(".u-legend")).to_contain_text("Smoothed")
    assert page.evaluate("document.querySelector('.uplot').isTheSame")
    assert page.evaluate("window.sameDocument")
    row = visit(alice)
    tells(60)
    expect(row.locator(f"#job-{job.pk} .state")).to_contain_text("60 %")


def test_the_weighted_loss_is_a_curve_of_its_own_where_it_is_reported(
    visit: Open, alice: User, job: Job
) -> None:
    tells(20)
    page = visit(alice, f"/jobs/{job.pk}/")
    says(page, "Live")
    expect(page.locator(".u-legend")).not_to_contain_text("weighted")
    tells(40, held_out_weighted=[[number, 0.6 - number / 200] for number in range(0, 41, 20)])
    expect(page.locator(".u-legend")).to_contain_text("Held-out pair, weighted")
    until(lambda: page.evaluate(DRAWN)[-2:] == [True, True], why="both curves are drawn")
    expect(page.locator(".uplot")).to_have_count(1)


def test_a_page_that_was_there_before_the_first_loss_gets_the_curve(
    visit: Open, alice: User, job: Job
) -> None:
    job.connection.capabilities = ["losses"]
    job.connection.save()
    page = visit(alice, f"/jobs/{job.pk}/")
    says(page, "Live")
    expect(page.locator("#curve")).to_have_count(0)
    tells(20)
    expect(page.locator(".uplot canvas")).to_be_visible()
    tells(40)
    expect(page.locator("#training-progress")).to_contain_text("step 40 of 100")
    expect(page.locator(".uplot")).to_have_count(1)


def test_the_slider_follows_until_somebody_moves_it(visit: Open, alice: User, job: Job) -> None:
    tells(40)
    page = visit(alice, f"/jobs/{job.pk}/")
    says(page, "Live")
    slider, shown = page.get_by_label("Steps trained"), page.locator("[data-samples] > [data-shown]")
    expect(shown).to_have_text("After step 40")
    tells(60)
    expect(shown).to_have_text("After step 60")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(shown).to_have_text("After step 20")
    expect(slider).to_have_attribute("aria-valuetext", "After step 20")
    tells(80)
    expect(page.locator("#training-progress")).to_contain_text("step 80 of 100")
    expect(shown).to_have_text("After step 20")
    expect(slider).to_be_focused()
    page.keyboard.press("End")
    expect(shown).to_have_text("After step 80")
    tells(100)
    expect(shown).to_have_text("After step 100")
    expect(page.locator("[data-samples] > li:visible")).to_have_count(1)


def test_cancel_asks_once_in_words(visit: Open, alice: User, job: Job) -> None:
    job.connection.capabilities = ["progress", "cancel"]
    job.connection.save()
    tells(20)
    page = visit(alice, f"/jobs/{job.pk}/")
    page.get_by_role("button", name="Cancel job").click()
    expect(page.get_by_role("dialog")).to_contain_text("What is trained so far is lost")
    page.get_by_role("button", name="Keep training").click()
    assert Job.objects.get().cancel_requested_at is None
    page.get_by_role("button", name="Cancel job").click()
    page.get_by_role("button", name="Cancel the job").click()
    expect(page.locator("#job .badge").first).to_contain_text("Cancelling…")
    job.refresh_from_db()
    Job.objects.update(error="Cancelled.")
    is_moved(job, State.FAILED)
    expect(page.locator("#job .badge").first).to_contain_text("Cancelled")
    expect(page.locator("#job .banner")).to_contain_text("What was trained until then is lost")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_that_axe_can_see_nor_a_page_too_wide(
    visit: Open, alice: User, job: Job, scheme: str
) -> None:
    tells(60, is_over=True)
    page = visit(alice, f"/jobs/{job.pk}/")
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    expect(page.locator(".uplot canvas")).to_be_visible()
    page.get_by_text("Show as a table").click()
    assert faults(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    fit(page, page.url)
    page.wait_for_function("() => document.querySelector('.uplot').offsetWidth <= 390")
