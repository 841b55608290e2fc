"""Whatever is dropped becomes the same dataset, and is seen in words before it is sent."""

from __future__ import annotations

import io
import itertools
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Request, Route, expect

from tests.e2e.conftest import EMAIL, PASSWORD, Portal

pytestmark = pytest.mark.browser
HALVES = ("start", "end")
MEBIBYTE = 1024 * 1024
Files = dict[str, bytes]


def picture(kind: str = "PNG", size: tuple[int, int] = (320, 320), colour: str = "teal") -> bytes:
    data = io.BytesIO()
    Image.new("RGB", size, colour).save(data, kind)
    return data.getvalue()


PNG, JPEG, WEBP = picture("PNG"), picture("JPEG", colour="coral"), picture("WEBP")


def five_pairs() -> Files:
    files = {f"{n:02}_{half}.png": PNG for n in range(1, 6) for half in HALVES}
    return files | {f"{n:02}.txt": f"put a hat on person {n}".encode() for n in range(1, 6)}


def packed(files: Files, compression: int = zipfile.ZIP_STORED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def laid_out(folder: Path, files: Files) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def session(browser: Browser, portal: Portal) -> Any:
    """The cookies of somebody who signed in once."""
    context = browser.new_context(base_url=portal.url)
    page = context.new_page()
    page.goto("/login/")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/")
    cookies = context.cookies()
    context.close()
    return cookies


@pytest.fixture
def form(page: Page, session: Any) -> Page:
    """The form where the browser cannot hash, as over plain http: nothing is asked before it is sent."""
    page.add_init_script("delete Crypto.prototype.subtle")
    page.context.add_cookies(session)
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto("/jobs/new/")
    return page


def choose_files(page: Page, *paths: Path) -> None:
    page.get_by_label("ZIP file").set_input_files(list(paths))


def choose_folder(page: Page, folder: Path) -> None:
    page.get_by_label("Choose a folder").set_input_files(folder)


def drop(page: Page, *paths: Path) -> None:
    """A real drag of real files from outside the browser."""
    box = page.locator(".dropzone").bounding_box()
    assert box
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    devtools = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        where = {"x": box["x"] + 20, "y": box["y"] + 20}
        devtools.send("Input.dispatchDragEvent", {"type": kind, **where, "data": data})


def uploaded(page: Page, portal: Portal) -> zipfile.ZipFile:
    """The file as the portal has it."""
    expect(page.locator("#dataset-status .badge")).to_be_visible(timeout=15_000)
    newest = max((portal.data / "datasets").glob("*.zip"), key=lambda path: path.stat().st_mtime_ns)
    return zipfile.ZipFile(newest)


def hold_pieces(page: Page, let_through: int = 0) -> None:
    """The pieces of an upload after the first few wait until `unroute`."""
    count = itertools.count(1)

    def gate(route: Route) -> None:
        if route.request.method != "PATCH" or next(count) <= let_through:
            route.continue_()

    page.route("**/uploads/*/", gate)


def begun(page: Page) -> None:
    expect(page.get_by_role("combobox", name="Dataset")).not_to_have_value("")


def stopped(page: Page) -> Locator:
    return page.locator("[data-upload-stopped]")


@pytest.mark.parametrize("way", ["zip", "folder", "loose", "dropped"])
def test_every_way_in_gives_the_same_pairs(form: Page, portal: Portal, tmp_path: Path, way: str) -> None:
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
    expect(form.locator("#dataset-status .pairs")).to_be_visible(timeout=15_000)
    with uploaded(form, portal) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == five_pairs()

    form.goto(f"/datasets/{form.get_by_role('combobox', name='Dataset').input_value()}/")
    expect(form.locator(".pair p")).to_have_text([f"put a hat on person {n}" for n in range(1, 6)])
    expect(form.get_by_role("heading", level=1)).to_have_text("5 pairs" if way == "loose" else "hats")


def test_a_broken_pair_is_named_before_the_upload_ends(form: Page, tmp_path: Path) -> None:
    files = {f"set/{name}": content for name, content in five_pairs().items()}
    del files["set/03_end.png"]
    files |= {"set/06_start.jpg": picture("JPEG", (200, 200)), "set/06_end.jpg": WEBP, "__MACOSX/x": b""}
    whole = tmp_path / "hats.zip"
    whole.write_bytes(packed(files, zipfile.ZIP_DEFLATED))
    hold_pieces(form)
    choose_files(form, whole)

    local = form.locator("[data-local]")
    for sentence in (
        "“03” has no _end picture",
        "in a folder “set” inside the ZIP",
        "__MACOSX",
        "“set/06_end.jpg” is really WebP",
        "“06” has a picture under 256 pixels",
    ):
        expect(local).to_contain_text(sentence)
    expect(local.locator(".pair p").first).to_have_text("put a hat on person 1")
    form.wait_for_function(
        "() => [...document.querySelectorAll('[data-local] img')].every((image) => image.naturalWidth)"
    )
    expect(form.get_by_role("status").filter(has_text="03")).to_have_count(1)

    form.unroute("**/uploads/*/")
    expect(form.locator("#dataset-status")).to_contain_text("“03” has no _end picture", timeout=40_000)
    expect(local).to_be_hidden()


def test_twelve_pairs_are_shown_and_the_rest_counted(form: Page, tmp_path: Path) -> None:
    files = {f"{n}_{half}.png": PNG for n in range(1, 16) for half in HALVES}
    files["15_end.png"] = picture(size=(320, 480))
    whole = tmp_path / "many.zip"
    whole.write_bytes(packed(files))
    hold_pieces(form)
    choose_files(form, whole)
    local = form.locator("[data-local]")
    expect(local.locator(".pair")).to_have_count(12)
    expect(local).to_contain_text("15 pairs without captions")
    expect(local).to_contain_text("and 3 more pairs")
    expect(local).to_contain_text("The halves of “15” differ in shape: 320 × 320 and 320 × 480.")
    form.unroute("**/uploads/*/")


def two_folders(start: str, end: str, captions: str) -> Files:
    names = ("bridge", "café", "tower")
    files = {f"{start}/{name}.png": PNG for name in names} | {f"{end}/{name}.png": PNG for name in names}
    return files | {f"{captions}/{name}.txt": f"snow on {name}".encode() for name in names}


def described(rows: list[dict[str, str]]) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


OTHER_LAYOUTS: dict[str, tuple[Files, dict[str, str]]] = {
    "ai-toolkit": (
        two_folders("control", "target", "target"),
        {"01": "snow on bridge", "02": "snow on café", "03": "snow on tower"},
    ),
    "two folders without telling names": (
        two_folders("a", "b", "b"),
        {"01": "snow on bridge", "02": "snow on café", "03": "snow on tower"},
    ),
    "diffusers": (
        {"condition/7.png": PNG, "target/7.png": PNG, "condition/8.png": PNG, "target/8.png": PNG}
        | {
            "metadata.jsonl": described(
                [
                    {"file_name": "target/7.png", "condition": "condition/7.png", "prompt": "rain"},
                    {"file_name": "target/8.png", "condition": "condition/8.png", "prompt": "sun"},
                ]
            )
        },
        {"7": "rain", "8": "sun"},
    ),
    "prompts for two folders": (
        {"input/7.png": PNG, "output/7.png": PNG}
        | {"metadata.jsonl": described([{"file_name": "output/7.png", "text": "rain"}])},
        {"7": "rain"},
    ),
    "names that end otherwise": (
        {"cat-before.png": PNG, "cat-after.png": PNG, "cat.txt": b"a hat"}
        | {"dog input.png": PNG, "dog output.png": PNG, "dog output.txt": "Größe".encode("cp1252")},
        {"cat": "a hat", "dog": "Größe"},
    ),
    "the same names in nested folders": (
        {f"{day}/1_{half}.png": PNG for day in ("mon", "tue") for half in HALVES}
        | {"mon/1.txt": "\ufeffMontag\n".encode(), "tue/1.txt": "Dienstag".encode("utf-16")},
        {"01": "Montag", "02": "Dienstag"},
    ),
    "a folder for each pair": (
        {f"{n}/{half}.png": PNG for n in (9, 10) for half in ("before", "after")}
        | {"9/caption.txt": b"nine", "10/caption.txt": b"ten"},
        {"9": "nine", "10": "ten"},
    ),
}


def test_other_layouts_are_packed_as_the_vendor_wants(form: Page, portal: Portal, tmp_path: Path) -> None:
    for layout, (files, captions) in OTHER_LAYOUTS.items():
        choose_folder(form, laid_out(tmp_path / layout, files))
        with uploaded(form, portal) as archive:
            pictures = [f"{index}_{half}.png" for index in captions for half in HALVES]
            names = [*pictures, *(f"{index}.txt" for index in captions)]
            assert sorted(archive.namelist()) == sorted(names), layout
            assert {index: archive.read(f"{index}.txt").decode() for index in captions} == captions, layout
            assert all(archive.read(name) == PNG for name in pictures), layout


def test_a_zip_of_another_tool_is_packed_anew_and_explained(
    form: Page, portal: Portal, tmp_path: Path
) -> None:
    whole = tmp_path / "winter.zip"
    whole.write_bytes(packed(two_folders("control", "target", "target"), zipfile.ZIP_DEFLATED))
    hold_pieces(form)
    choose_files(form, whole)
    expect(form.locator("[data-local]")).to_contain_text("“control” is taken as before and “target” as after")
    begun(form)
    form.reload()
    form.unroute("**/uploads/*/")
    expect(stopped(form)).to_contain_text("“winter.zip” stopped at 0 %")
    choose_files(form, whole)
    with uploaded(form, portal) as archive:
        assert "01_start.png" in archive.namelist()


def test_extensions_follow_the_bytes_and_webp_is_told(form: Page, portal: Portal, tmp_path: Path) -> None:
    folder = laid_out(tmp_path / "set", {"1_start.png": JPEG, "1_end.jpeg": PNG, "2_start.png": PNG})
    (folder / "2_end.webp").write_bytes(WEBP)
    sent: list[str] = []
    form.on("request", lambda request: sent.append(request.url) if request.method != "GET" else None)
    choose_folder(form, folder)
    expect(form.locator("[data-local]")).to_contain_text(
        "“2_end.webp” is a WebP picture. Save it as JPEG or PNG."
    )
    expect(form.get_by_role("alert")).to_contain_text("Nothing was sent yet")
    assert sent == []

    (folder / "2_end.webp").rename(folder / "2_end.png")
    (folder / "2_end.png").write_bytes(PNG)
    choose_folder(form, folder)
    with uploaded(form, portal) as archive:
        assert set(archive.namelist()) == {"1_start.jpg", "1_end.png", "2_start.png", "2_end.png"}


def test_both_choices_by_keyboard(form: Page, portal: Portal, tmp_path: Path) -> None:
    folder = laid_out(tmp_path / "hats", five_pairs())
    form.on("filechooser", lambda _: None)  # Chromium's own dialog is out of the way from here on
    for tabs, chosen in ((1, list(folder.iterdir())), (2, folder)):
        form.get_by_role("link", name="Sample dataset").focus()
        for _ in range(tabs):
            form.keyboard.press("Tab")
        with form.expect_file_chooser() as chooser:
            form.keyboard.press("Enter")
        chooser.value.set_files(chosen)
        uploaded(form, portal).close()


def test_folders_that_cannot_be_told_apart_are_asked_about(form: Page, tmp_path: Path) -> None:
    folder = laid_out(tmp_path / "set", {f"{side}/{n}.png": PNG for side in "ab" for n in range(3)})
    choose_folder(form, folder)
    expect(form.locator("[data-local]")).to_contain_text("“a” and “b” hold the same names, but nothing says")


def test_after_a_reload_the_same_choice_goes_on(form: Page, portal: Portal, tmp_path: Path) -> None:
    noise = {f"{n}_{half}.bin": bytes([n]) * MEBIBYTE for n in range(10) for half in HALVES}
    whole = tmp_path / "night.zip"
    whole.write_bytes(packed({**five_pairs(), **noise}))
    hold_pieces(form, let_through=1)
    choose_files(form, whole)
    expect(form.locator("[data-upload-text]")).to_contain_text("8.39 MB of 21 MB")
    form.reload()
    form.unroute("**/uploads/*/")
    expect(stopped(form)).to_contain_text("“night.zip” stopped at 39 %: choose it again to go on.")

    again: list[int] = []

    def count(request: Request) -> None:
        if request.method == "PATCH":
            again.append(int(request.headers["upload-offset"]))

    form.on("request", count)
    choose_files(form, whole)
    with uploaded(form, portal) as archive:
        assert Path(str(archive.filename)).read_bytes() == whole.read_bytes()
    assert min(again) == 8 * MEBIBYTE, "what had arrived is not sent again"
    form.reload()
    expect(stopped(form)).to_be_hidden()


def test_a_refused_form_keeps_the_upload_and_its_preview(form: Page, tmp_path: Path) -> None:
    whole = tmp_path / "hats.zip"
    whole.write_bytes(packed(five_pairs()))
    hold_pieces(form)
    choose_files(form, whole)
    begun(form)
    form.get_by_role("button", name="Start training").click()
    expect(form.get_by_text("Give the training a name.")).to_be_visible()
    expect(form.locator("[data-upload-text]")).to_contain_text("hats.zip")
    expect(form.locator("[data-local] .pair")).to_have_count(5)
    form.unroute("**/uploads/*/")
    expect(form.locator("#dataset-status .pairs")).to_be_visible(timeout=15_000)


def test_an_upload_that_stopped_can_be_forgotten(form: Page, portal: Portal, tmp_path: Path) -> None:
    folder = laid_out(tmp_path / "hats", five_pairs())
    hold_pieces(form)
    choose_folder(form, folder)
    begun(form)
    form.reload()
    form.unroute("**/uploads/*/")
    expect(stopped(form)).to_contain_text("“hats” stopped at 0 %: choose it again to go on.")
    with form.expect_response(lambda answer: answer.request.method == "DELETE") as gone:
        form.get_by_role("button", name="Forget it").click()
    assert gone.value.status == 204
    form.reload()
    expect(stopped(form)).to_be_hidden()


def test_without_scripts_the_plain_input_posts(
    browser: Browser, portal: Portal, session: Any, tmp_path: Path
) -> None:
    whole = tmp_path / "hats.zip"
    whole.write_bytes(packed(five_pairs()))
    context = browser.new_context(base_url=portal.url, java_script_enabled=False)
    context.add_cookies(session)
    page = context.new_page()
    page.goto("/jobs/new/")
    expect(page.get_by_label("Choose a folder")).to_be_hidden()
    page.get_by_label("ZIP file").set_input_files(whole)
    page.get_by_label("Name", exact=True).fill("Without scripts")
    page.get_by_role("textbox", name="Instruction prompt").fill("put a hat on")
    page.get_by_role("button", name="Start training").click()
    page.wait_for_url(re.compile(r"/jobs/\d+/"))
    context.close()
