"""Whatever is dropped becomes the same dataset, and is seen in words before it is sent."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, Route, expect

from finetune_portal.accounts.models import User
from finetune_portal.datasets.models import Dataset
from tests.e2e.conftest import Visitor
from tests.e2e.dropping import (
    HALVES,
    MEBIBYTE,
    PNG,
    WEBP,
    begun,
    checked,
    choose_files,
    choose_folder,
    drop,
    five_pairs,
    hold_chunks,
    laid_out,
    packed,
    picture,
    stopped,
    uploaded,
)
from tests.waiting import until
from tests.web_server import WebServer, session_of

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("way", ["zip", "folder", "loose", "dropped"])
def test_every_way_in_gives_the_same_pairs(form: Page, web: WebServer, tmp_path: Path, way: str) -> None:
    folder = laid_out(tmp_path / "hats", five_pairs())
    whole = tmp_path / "hats.zip"
    whole.write_bytes(packed(five_pairs()))
    ways: dict[str, Callable[[], None]] = {
        "zip": lambda: choose_files(form, whole),
        "folder": lambda: choose_folder(form, folder),
        "loose": lambda: choose_files(form, *folder.iterdir()),
        "dropped": lambda: drop(form, folder),
    }
    ways[way]()
    checked()
    expect(form.locator("#dataset-status .pairs")).to_be_visible()
    with uploaded(form, web) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == five_pairs()

    form.goto(f"/datasets/{form.locator('#id_dataset').input_value()}/")
    expect(form.locator(".pair p")).to_have_text([f"put a hat on person {n}" for n in range(1, 6)])
    expect(form.get_by_role("heading", level=1)).to_have_text("5 pairs" if way == "loose" else "hats")


def test_a_broken_pair_is_named_before_the_upload_ends(form: Page, tmp_path: Path) -> None:
    files = {f"set/{name}": content for name, content in five_pairs().items()}
    del files["set/03_end.png"]
    files |= {"set/06_start.jpg": picture("JPEG", (200, 200)), "set/06_end.jpg": WEBP, "__MACOSX/x": b""}
    whole = tmp_path / "hats.zip"
    whole.write_bytes(packed(files, zipfile.ZIP_DEFLATED))
    hold_chunks(form)
    choose_files(form, whole)

    preview = form.locator("[data-preview]")
    for sentence in (
        "“03” has no _end picture",
        "in a folder inside the ZIP (“set”)",
        "__MACOSX",
        "“set/06_end.jpg” is really WebP",
    ):
        expect(preview).to_contain_text(sentence)
    expect(preview.locator(".pair p").first).to_have_text("put a hat on person 1")
    form.wait_for_function(
        "() => [...document.querySelectorAll('[data-preview] img')].every((image) => image.naturalWidth)"
    )
    said = form.get_by_role("status").filter(has_text="03")
    expect(said).to_have_count(1)
    assert ". “03” has no _end picture. Each pair needs both halves." in said.inner_text()
    assert ".." not in said.inner_text()

    form.unroute("**/uploads/*/")
    checked()
    expect(form.locator("#dataset-status")).to_contain_text("“03” has no _end picture")
    expect(preview).to_be_hidden()


def test_twelve_pairs_are_shown_and_the_rest_counted(form: Page, tmp_path: Path) -> None:
    files = {f"{n}_{half}.png": PNG for n in range(1, 16) for half in HALVES}
    whole = tmp_path / "many.zip"
    whole.write_bytes(packed(files))
    hold_chunks(form)
    choose_files(form, whole)
    preview = form.locator("[data-preview]")
    expect(preview.locator(".pair")).to_have_count(12)
    expect(form.locator("[data-upload-head]")).to_contain_text("15 pairs without captions")
    expect(preview).to_contain_text("and 3 more pairs")
    form.unroute("**/uploads/*/")


def test_both_choices_by_keyboard(form: Page, web: WebServer, tmp_path: Path) -> None:
    folder = laid_out(tmp_path / "hats", five_pairs())
    form.on("filechooser", lambda _: None)  # Chromium's own dialog is out of the way from here on
    for tabs, chosen in ((1, list(folder.iterdir())), (2, folder)):
        if tabs == 2:
            form.keyboard.press("Enter")  # “Change”, where the focus is once something was chosen
        form.get_by_role("link", name="Sample dataset").focus()
        for _ in range(tabs):
            form.keyboard.press("Tab")
        with form.expect_file_chooser() as chooser:
            form.keyboard.press("Enter")
        chooser.value.set_files(chosen)
        uploaded(form, web).close()


@pytest.mark.long
def test_after_a_reload_the_same_choice_goes_on(form: Page, web: WebServer, tmp_path: Path) -> None:
    noise = {f"{n}_{half}.bin": bytes([n]) * MEBIBYTE for n in range(10) for half in HALVES}
    whole = tmp_path / "night.zip"
    whole.write_bytes(packed({**five_pairs(), **noise}))
    hold_chunks(form, let_through=1)
    with form.expect_request(lambda request: request.headers.get("upload-offset") == str(8 * MEBIBYTE)):
        choose_files(form, whole)  # the portal has the first chunk when the second one begins
    expect(form.locator("[data-upload-text]")).to_contain_text("8.39 MB of 21 MB")
    form.reload()
    form.unroute("**/uploads/*/")
    expect(stopped(form)).to_contain_text("“night.zip” stopped at 39 %: choose it again to resume.")

    again: list[int] = []

    def count(request: Request) -> None:
        if request.method == "PATCH":
            again.append(int(request.headers["upload-offset"]))

    form.on("request", count)
    choose_files(form, whole)
    with uploaded(form, web) as archive:
        assert Path(str(archive.filename)).read_bytes() == whole.read_bytes()
    assert min(again) == 8 * MEBIBYTE, "what had arrived is not sent again"
    form.reload()
    expect(stopped(form)).to_be_hidden()


def test_a_proxy_that_refuses_large_bodies_gets_small_ones(
    form: Page, web: WebServer, tmp_path: Path
) -> None:
    """docs/reliability.md, U14."""
    whole = tmp_path / "night.zip"
    whole.write_bytes(packed({**five_pairs(), "noise.bin": bytes(MEBIBYTE)}))
    offsets: list[int] = []

    def refuse(route: Route) -> None:
        if route.request.method != "PATCH":
            route.continue_()
            return
        offsets.append(int(route.request.headers["upload-offset"]))
        if len(offsets) == 1:
            route.fulfill(status=413, content_type="text/html", body="<h1>413 Request Entity Too Large</h1>")
        else:
            route.continue_()

    form.route("**/uploads/*/", refuse)
    choose_files(form, whole)
    expect(form.get_by_text("A proxy refuses chunks of 8.39 MB.")).to_be_visible()
    with uploaded(form, web) as archive:
        assert Path(str(archive.filename)).read_bytes() == whole.read_bytes()
    half = MEBIBYTE // 2
    assert offsets == [0, *range(0, whole.stat().st_size, half)]


def test_a_refused_form_keeps_the_upload_and_its_preview(form: Page, tmp_path: Path) -> None:
    whole = tmp_path / "hats.zip"
    whole.write_bytes(packed(five_pairs()))
    hold_chunks(form)
    choose_files(form, whole)
    begun(form)
    form.get_by_label("Name", exact=True).clear()
    form.get_by_role("button", name="Start job").click()
    expect(form.get_by_text("Enter a name for the job.")).to_be_visible()
    expect(form.locator("[data-upload-text]")).to_contain_text("hats.zip")
    expect(form.locator("[data-preview] .pair")).to_have_count(5)
    form.unroute("**/uploads/*/")
    checked()
    expect(form.locator("#dataset-status .pairs")).to_be_visible()


@pytest.mark.long
def test_an_upload_that_stopped_can_be_forgotten(form: Page, web: WebServer, tmp_path: Path) -> None:
    folder = laid_out(tmp_path / "hats", five_pairs())
    hold_chunks(form)
    choose_folder(form, folder)
    begun(form)
    form.reload()
    form.unroute("**/uploads/*/")
    expect(stopped(form)).to_contain_text("“hats” stopped at 0 %: choose it again to resume.")
    with form.expect_response(lambda answer: answer.request.method == "DELETE") as gone:
        form.get_by_role("button", name="Discard").click()
    assert gone.value.status == 204
    form.reload()
    expect(stopped(form)).to_be_hidden()


@pytest.mark.parametrize("control", ["Discard", "Cancel"])
def test_an_upload_that_cannot_be_deleted_is_said(
    form: Page, web: WebServer, tmp_path: Path, control: str
) -> None:
    folder = laid_out(tmp_path / "hats", five_pairs())
    hold_chunks(form)
    choose_folder(form, folder)
    begun(form)
    if control == "Discard":
        form.reload()
        expect(stopped(form)).to_contain_text("“hats” stopped at 0 %")
    refused = True

    def delete(route: Route) -> None:
        if route.request.method != "DELETE":
            route.fallback()
        elif refused:
            route.fulfill(status=403, body="No.")
        else:
            route.continue_()

    form.route("**/uploads/*/", delete)
    form.get_by_role("button", name=control, exact=True).click()
    alert = form.locator("#failures [role=alert]")
    expect(alert).to_contain_text("refused this. What had arrived was not deleted.")
    expect(form.locator("[data-upload-status]")).not_to_have_text("Cancelled.")
    assert Dataset.objects.exists()
    refused = False
    alert.get_by_role("button", name="Try again").click()
    until(lambda: not Dataset.objects.exists(), why="the upload is deleted")
    expect(alert).to_have_count(0)


def test_without_scripts_the_plain_input_posts(
    visitor: Visitor, web: WebServer, admin: User, tmp_path: Path
) -> None:
    whole = tmp_path / "hats.zip"
    whole.write_bytes(packed(five_pairs()))
    page = visitor(web.url, session_of(admin), java_script_enabled=False)
    page.goto("/jobs/new/")
    expect(page.get_by_label("Choose a folder")).to_be_hidden()
    page.get_by_label("ZIP file").set_input_files(whole)
    page.get_by_label("Name", exact=True).fill("Without scripts")
    page.get_by_role("textbox", name="Prompt").fill("put a hat on")
    page.get_by_role("button", name="Start job").click()
    page.wait_for_url(re.compile(r"/jobs/\d+/"))
