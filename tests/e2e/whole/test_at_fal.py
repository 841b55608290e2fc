"""The walk at fal in one piece: browser, playground, gateway, and the account's key nowhere but in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.conftest import EMAIL, PASSWORD, Portal, Visitor
from tests.e2e.dropping import choose_files, drop
from tests.e2e.whole import hat_overlay, places
from tests.e2e.whole.gateway_script import Script
from tests.fal.calls import KLEIN, packed
from tests.fal.keys import misplaced
from tests.fal.ledger import Job as Paid
from tests.fal.server import FakeFal
from tests.provider import PICTURE
from tests.provider.results import WEIGHTS

pytestmark = [pytest.mark.browser, pytest.mark.long]
RUN = "fal-ai/flux-2/klein/4b/base/edit/lora"
SLOWLY = ("IN_QUEUE",)  # the test moves it on
QUICKLY = ("IN_QUEUE", "IN_PROGRESS", "COMPLETED")
PROMPT = "put the hat on this person"


@pytest.fixture
def fal() -> Iterator[FakeFal]:
    with FakeFal() as running:
        yield running


@pytest.fixture
def portal(tmp_path: Path, fal: FakeFal) -> Iterator[Portal]:
    running = Portal(tmp_path / "portal" / "data")
    (tmp_path / "temporary").mkdir()
    hosts = {
        "FAL_QUEUE_URL": fal.queue_url,
        "FAL_REST_URL": fal.rest_url,
        "FAL_CDN_URL": fal.cdn_url,
        "FAL_API_URL": fal.api_url,
    }
    keys = {"FAL_KEY": fal.key, "FAL_ADMIN_KEY": fal.admin_key}
    try:
        running.start(**keys, **hosts, TMPDIR=str(tmp_path / "temporary"), PORTAL_ACCESS_LOG="yes")
        yield running
        assert running.reports() == []
    finally:
        running.stop()


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """All requests of the browser with their answers, written when its context is closed."""
    return tmp_path / "browser.har"


@pytest.fixture
def page(visitor: Visitor, portal: Portal, recording: Path) -> Page:
    page = visitor(portal.url, record_har_path=recording, record_har_content="embed")
    page.goto("/login/")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")
    return page


def test_from_the_drop_to_the_weights_and_again_through_the_gateway(
    page: Page, portal: Portal, fal: FakeFal, recording: Path, tmp_path: Path
) -> None:
    archive = hat_overlay.write(tmp_path)
    paid = starts_a_job(page, fal, archive)
    watches_it(page, fal, paid)
    downloads_it(page)
    runs_it(page, fal, hat_overlay.write_picture(tmp_path))
    script = Script(portal.url, makes_a_token(page))
    trains_by_the_gateway(script, fal, archive)
    sees_both_jobs(page)

    page.context.close()
    assert misplaced(fal) == []
    everything = [
        *places.of_portal(portal, tmp_path / "temporary"),
        *places.of_browser(recording),
        *places.of_answers(script.answers),
    ]
    assert places.holding(everything, fal.key, fal.admin_key) == []
    looked_at = [place for place, content in everything if EMAIL.encode() in content]
    assert any("sqlite3" in place for place in looked_at) or "the backup" in looked_at
    assert any(place.endswith("/settings/") for place in looked_at), "the search reads pages"


def choose_klein(page: Page) -> None:
    card = page.locator(f"[name=offer][value$='{KLEIN}']")
    if not card.is_visible():
        page.get_by_text("All trainers").click()
    card.check()


def starts_a_job(page: Page, fal: FakeFal, archive: Path) -> Paid:
    """What fal has after the drop, the choice of klein 4B, the price, and the start."""
    fal.steps = SLOWLY
    page.goto("/jobs/new/")
    drop(page, archive)
    page.get_by_label("Name", exact=True).fill("Hats")
    choose_klein(page)
    expect(page.locator("#trainer")).to_contain_text("License: Apache 2.0.")
    expect(page.get_by_label("Public model")).to_be_hidden()
    page.get_by_label("Steps", exact=True).fill("550")
    expect(page.locator("#dataset-status")).to_contain_text("Ready to train")
    page.get_by_role("button", name="Start job").click()
    expect(page.get_by_text("Steps must be a multiple of 100.").first).to_be_visible()
    page.get_by_label("Steps", exact=True).fill("500")
    page.get_by_label("Steps", exact=True).blur()
    expect(page.locator("#price")).to_contain_text("About 4.85 USD a job")
    assert fal.jobs == []
    page.get_by_role("button", name="Start job").click()
    expect(page.locator("#job .badge").first).to_contain_text("In the queue")
    (paid,) = fal.jobs
    assert (paid.endpoint, paid.input["steps"]) == (KLEIN, 500)
    return paid


def watches_it(page: Page, fal: FakeFal, paid: Paid) -> None:
    """The place in the queue, the log, the end and the bill, each as fal says it."""
    job, badge = page.locator("#job"), page.locator("#job .badge").first
    for ahead, words in ((3, "3 jobs ahead."), (1, "1 job ahead.")):
        paid.queue_position = ahead
        expect(job).to_contain_text(f"Waiting in the queue, {words}")
    fal.move(paid, "IN_PROGRESS")
    expect(badge).to_contain_text("Training")
    page.get_by_text("Log").first.click()
    expect(job).to_contain_text(fal.log_lines[0])
    fal.finish(paid)
    assert paid.result_status == 200, paid.result
    expect(badge).to_contain_text("Ready")
    expect(job).to_contain_text("As billed; the estimate was 4.85.")
    assert len(fal.sent("submit")) == 1


def downloads_it(page: Page) -> None:
    with page.expect_download() as download:
        page.get_by_role("link", name="Download .safetensors").first.click()
    assert Path(download.value.path()).read_bytes() == WEIGHTS


def runs_it(page: Page, fal: FakeFal, picture: Path) -> None:
    """In the playground: an own picture goes to fal with the weights, and the result is shown."""
    fal.steps = QUICKLY
    playground = page.locator("#playground")
    playground.get_by_label("Your own picture").set_input_files(picture)
    playground.get_by_label("Prompt").fill(PROMPT)
    playground.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("dialog").get_by_role("button", name="Run it").click()
    result = playground.get_by_alt_text(f"Result of the model: {PROMPT}")
    expect(result).to_be_visible()
    expect(result).to_have_js_property("complete", True)
    assert result.evaluate("(image) => image.naturalWidth") > 0
    trained, run = fal.jobs
    assert (run.endpoint, run.input["prompt"]) == (RUN, PROMPT)
    assert run.input["loras"][0]["path"] == trained.result["diffusers_lora_file"]["url"]
    with page.expect_download() as download:
        playground.get_by_role("link", name="Download").click()
    assert Path(download.value.path()).read_bytes() == PICTURE


def makes_a_token(page: Page) -> str:
    page.goto("/tokens/")
    page.get_by_label("Name", exact=True).fill("nightly")
    for right in page.locator("#token-form [name=rights]").all():
        right.check()
    page.get_by_role("button", name="Make token").click()
    token = page.locator(".new-token code").inner_text()
    assert re.fullmatch(r"ftp_\w{40}", token)
    return token


def trains_by_the_gateway(script: Script, fal: FakeFal, archive: Path) -> None:
    """The same job with `provider` in the body, to its weights."""
    fal.steps = QUICKLY
    job = script.start(
        archive,
        name="Hats by a script",
        instance_prompt=hat_overlay.CAPTION,
        provider="fal",
        trainer=KLEIN,
        advance_parameters={"steps": 500, "learning_rate": 0.0001},
    )
    assert script.weights_of(job) == WEIGHTS
    first, _, by_script = fal.jobs
    assert by_script.endpoint == KLEIN
    assert by_script.dataset != first.dataset, "each has an address of its own"
    assert fal.charged == sum(paid.cost or 0 for paid in fal.jobs)
    assert len(fal.sent("submit")) == 3, "nothing was sent twice"


def sees_both_jobs(page: Page) -> None:
    page.goto("/")
    for name in ("Hats", "Hats by a script"):
        row = page.locator("#job-table tr").filter(has=page.get_by_text(name, exact=True))
        expect(row.locator(".badge")).to_contain_text("Ready")
    for path in ("/settings/", "/audit/", "/tokens/", "/team/", "/datasets/"):
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_pairs_with_three_inputs_from_the_drop_to_fal(page: Page, fal: FakeFal, tmp_path: Path) -> None:
    places_of_images = ("start", "start2", "start3", "end")
    files = {f"{number}_{place}.png": PICTURE for number in "123" for place in places_of_images}
    archive = tmp_path / "hats.zip"
    archive.write_bytes(packed(files | {f"{number}.txt": b"put a hat on" for number in "123"}))
    fal.steps = SLOWLY
    page.goto("/jobs/new/")
    choose_klein(page)
    page.get_by_label("Steps", exact=True).fill("1000")
    page.get_by_label("Steps", exact=True).blur()
    expect(page.locator("#price")).to_contain_text("About 9.71 USD a job with 1 input image a pair")
    choose_files(page, archive)
    expect(page.locator("#dataset-status")).to_contain_text("up to 3 input images a pair")
    expect(page.locator("#price")).to_contain_text("About 23.41 USD a job with up to 3 input images a pair")
    expect(page.locator("#dataset-status .further-inputs img")).to_have_count(6)
    page.get_by_label("Name", exact=True).fill("Hats")
    page.get_by_role("radio", name="engine").check()
    expect(page.locator("#trainer")).to_be_hidden()
    page.get_by_role("button", name="Start job").click()
    sentence = "This dataset has pairs with 3 input images; FLUX.1 Kontext takes 1."
    expect(page.locator("#id_dataset_error")).to_have_text(sentence)
    choose_klein(page)
    page.get_by_role("button", name="Start job").click()
    expect(page.locator("#job .badge").first).to_contain_text("In the queue")
    (paid,) = fal.jobs
    assert fal.fetch(paid.dataset, "image_data_url") == archive.read_bytes()
