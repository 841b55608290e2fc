"""Requests that the form of a new job sends by itself: what failed is said, and nothing wrong stays on it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from finetune_portal.accounts.models import User
from finetune_portal.connections import services as connections
from finetune_portal.datasets.models import Dataset
from finetune_portal.jobs.models import Preset
from tests.e2e.dropping import choose_files, choose_folder, five_pairs, laid_out, packed
from tests.e2e.failing import alert, bad_gateway
from tests.people import make_dataset
from tests.web_server import WebServer

pytestmark = [pytest.mark.browser, pytest.mark.long]


# What fails in the background of the form, how a person brings it about, and what is said: where nothing left
# the browser, and where a proxy answered.
BACKGROUND = {
    "connection": ("What to train stays as it was.",) * 2,
    "library": ("The dataset is selected, but what is in it is not shown.",) * 2,
    "status": ("What is shown of the dataset may be old. The page tries again by itself.",) * 2,
    "repair": ("No copy was made.", "A copy may be in the library all the same: look there first."),
    "address": (
        "The URL was not checked.",
        "The dataset may be in the library all the same: look there first.",
    ),
    "preset saved": (
        "The preset was not saved.",
        "If it was saved after all, “Try again” says that its name is taken.",
    ),
    "preset deleted": (
        "The preset was not deleted.",
        "It may be deleted all the same: “Try again” deletes no other.",
    ),
}


BACKGROUND_URLS = re.compile("/(parameters|status|repair|from-url|presets)/")


def bring_about(page: Page, name: str, dataset: Dataset) -> None:
    match name:
        case "connection":
            page.get_by_role("radio", name="FLUX.2 klein 4B edit At fal").click()
        case "library":
            page.locator("#id_dataset").select_option(str(dataset.pk))
        case "repair":
            page.get_by_role("button", name="Make a repaired copy").click()
        case "address":
            page.get_by_role("button", name="Change the dataset").click()
            page.get_by_text("or at a public URL").click()
            page.get_by_label("Public URL of a ZIP").fill("https://example.com/pairs.zip")
            page.get_by_role("button", name="Check URL").click()
        case "preset saved":
            page.get_by_text("Save the values below as a preset").click()
            page.get_by_label("Preset name").fill("Caps")
            page.get_by_role("button", name="Save preset").click()
        case "preset deleted":
            page.get_by_role("button", name="Delete the preset Hats").click()


@pytest.mark.parametrize("request_name", BACKGROUND)
def test_a_background_request_of_the_form_says_what_failed(
    page: Page, web: WebServer, admin: User, request_name: str
) -> None:
    """Not that nothing was started: nobody tried to. What is no longer right does not stand on the page."""
    connections.built_in()
    connections.add(name="At fal", provider="fal", key="a-key", actor=admin)
    Preset.objects.create(owner=admin, name="Hats", learning_rate=1e-4, steps=500, parameters={})
    sentences = BACKGROUND[request_name]
    for sentence, is_offline in zip(sentences, (True, False), strict=True):
        page.route(
            "**/jobs/new/price/**", lambda route: route.fulfill(status=204)
        )  # it has a test of its own
        dataset = make_dataset(admin, data=packed({**five_pairs(), "01.txt": "café".encode("utf-16")}))
        Dataset.objects.update(state="checking" if request_name == "status" else "ready")
        page.goto("/jobs/new/" if request_name == "library" else f"/jobs/new/?dataset={dataset.pk}")
        shown = page.locator("#advanced").inner_html(), page.locator("#trainer").inner_html()
        what = "You are offline." if is_offline else "The portal cannot be reached (502)."
        if is_offline:
            page.context.set_offline(True)
        else:
            page.route(BACKGROUND_URLS, bad_gateway)
        bring_about(page, request_name, dataset)
        expect(alert(page)).to_contain_text(f"{what} {sentence}")
        expect(alert(page)).not_to_contain_text("started")
        assert (page.locator("#advanced").inner_html(), page.locator("#trainer").inner_html()) == shown
        page.context.set_offline(False)
        page.unroute_all()


def test_a_choice_whose_fields_did_not_come_is_made_again(page: Page, web: WebServer, admin: User) -> None:
    engine = connections.built_in()
    connections.add(name="At fal", provider="fal", key="a-key", actor=admin)
    page.goto("/jobs/new/")
    engine_radio = page.get_by_role("radio", name=str(engine))
    fal_radio = page.get_by_role("radio", name="FLUX.2 klein 4B edit At fal")
    price = page.locator("#price").inner_text()
    page.route("**/jobs/new/price/**", lambda route: route.abort())
    page.route(BACKGROUND_URLS, bad_gateway)
    for _ in range(2):
        fal_radio.click()
        expect(alert(page)).to_be_visible()
        expect(engine_radio).to_be_checked()
        expect(page.locator("#price")).to_have_text(price)
    page.unroute(BACKGROUND_URLS)
    alert(page).get_by_role("button", name="Try again").click()
    expect(fal_radio).to_be_checked()
    expect(page.locator("#price")).to_contain_text("The price and the time are not known now.")
    page.route(BACKGROUND_URLS, bad_gateway)
    engine_radio.click()
    expect(alert(page)).to_contain_text("What to train stays as it was.")
    expect(fal_radio).to_be_checked()


def test_captions_whose_encoding_nobody_names_are_not_called_wrong(
    page: Page, web: WebServer, admin: User, tmp_path: Path
) -> None:
    files = {**five_pairs(), "01.txt": "größe".encode("cp1252")}
    whole = tmp_path / "hats.zip"
    whole.write_bytes(packed(files))
    page.goto("/jobs/new/")
    page.route("**/code-page/", bad_gateway)
    choose_folder(page, laid_out(tmp_path / "hats", files))
    error = page.locator("[data-upload-error]")
    expect(error).to_have_text(
        "Texts are in an old encoding, and the portal could not be asked which one. Nothing was sent. "
        "Choose the files again."
    )
    assert not Dataset.objects.exists()
    choose_files(page, whole)
    expect(error).to_contain_text("The portal checks them once the ZIP is there.")
    expect(page.locator("#dataset-status")).to_contain_text("hats")
    expect(page.locator("[data-preview]")).not_to_contain_text("not text")
