"""Layouts of other tools, odd names, other kinds of pictures: told in words, packed as the vendor wants."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Page, expect

from tests.e2e.dropping import (
    HALVES,
    JPEG,
    PNG,
    WEBP,
    Files,
    checked,
    choose_files,
    choose_folder,
    convert,
    five_pairs,
    hold_chunks,
    laid_out,
    packed,
    picture,
    uploaded,
)
from tests.web_server import WebServer

pytestmark = [pytest.mark.browser, pytest.mark.long]


def two_folders(start: str, end: str, captions: str) -> Files:
    names = ("bridge", "café", "tower")
    files = {f"{start}/{name}.png": PNG for name in names} | {f"{end}/{name}.png": PNG for name in names}
    return files | {f"{captions}/{name}.txt": f"snow on {name}".encode() for name in names}


def described(rows: list[dict[str, str]]) -> bytes:
    return "\n".join(json.dumps(row) for row in rows).encode()


THE_VENDORS_NAMES = "the same names in nested folders"
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
        {"01": "rain", "02": "sun"},
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
    THE_VENDORS_NAMES: (
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


def test_other_layouts_are_packed_as_the_vendor_wants(form: Page, web: WebServer, tmp_path: Path) -> None:
    for layout, (files, captions) in OTHER_LAYOUTS.items():
        choose_folder(form, laid_out(tmp_path / layout, files))
        if layout != THE_VENDORS_NAMES:
            convert(form)
        with uploaded(form, web) as archive:
            pictures = [f"{index}_{half}.png" for index in captions for half in HALVES]
            names = [*pictures, *(f"{index}.txt" for index in captions)]
            assert sorted(archive.namelist()) == sorted(names), layout
            assert {index: archive.read(f"{index}.txt").decode() for index in captions} == captions, layout
            assert all(archive.read(name) == PNG for name in pictures), layout


def test_a_zip_of_another_tool_goes_as_it_is_and_can_be_repaired(
    form: Page, web: WebServer, tmp_path: Path
) -> None:
    whole = tmp_path / "winter.zip"
    strays = {"preview.png": PNG, "film.mp4": b"film"}
    whole.write_bytes(packed(two_folders("control", "target", "target") | strays, zipfile.ZIP_DEFLATED))
    hold_chunks(form)
    choose_files(form, whole)
    preview = form.locator("[data-preview]")
    expect(preview).to_contain_text("in two folders with the same names (“control” and “target”)")
    expect(preview).to_contain_text("“preview.png” belongs to no pair and is left out.")
    expect(preview).to_contain_text("“film.mp4” is left out: neither a picture of a pair nor a caption.")
    expect(preview.locator(".pair p").first).to_have_text("snow on bridge")
    said = preview.locator(".findings li").all_inner_texts()
    form.unroute("**/uploads/*/")
    checked()
    expect(form.get_by_role("button", name="Make a repaired copy")).to_be_visible()
    verdict = form.locator("#dataset-status .findings li").all_inner_texts()
    assert set(said) <= set(verdict)
    with uploaded(form, web) as archive:
        assert Path(str(archive.filename)).read_bytes() == whole.read_bytes()


def test_nothing_is_packed_before_a_person_said_which_half_is_before(
    form: Page, web: WebServer, tmp_path: Path
) -> None:
    files = {f"{side}/{n}.png": picture(colour=side) for side in ("red", "blue") for n in range(3)}
    folder = laid_out(
        tmp_path / "set", files | {f"red/{n}.txt": "a red hat’s tip".encode("cp1252") for n in range(3)}
    )
    sent = changes_of(form)
    choose_folder(form, folder)
    preview = form.locator("[data-preview]")
    expect(preview).to_contain_text("Is “set/blue/0.png” before and “set/red/0.png” after, and so on?")
    form.get_by_role("button", name="Swap before and after").click()
    expect(preview).to_contain_text("Before and after are swapped.")
    expect(preview).to_contain_text("right, read as Windows-1252: “a red hat’s tip”?")
    assert [url for url in sent if "/code-page/" not in url] == []
    convert(form)
    with uploaded(form, web) as archive:
        assert archive.read("0_start.png") == picture(colour="red")
        assert archive.read("0_end.png") == picture(colour="blue")
        assert archive.read("0.txt").decode() == "a red hat’s tip"


def test_extensions_follow_the_bytes_and_other_kinds_become_png(
    form: Page, web: WebServer, tmp_path: Path
) -> None:
    files = {"1_start.png": JPEG, "1_end.jpeg": PNG, "2_start.gif": picture("GIF"), "2_end.webp": WEBP}
    choose_folder(form, laid_out(tmp_path / "set", files))
    expect(form.locator("[data-preview]")).to_contain_text("are packed as PNG.")
    with uploaded(form, web) as archive:
        assert set(archive.namelist()) == {"1_start.jpg", "1_end.png", "2_start.png", "2_end.png"}
        made = io.BytesIO(archive.read("2_end.png"))
        with Image.open(made) as image, Image.open(io.BytesIO(WEBP)) as webp:
            assert image.format == "PNG"
            assert ImageChops.difference(image.convert("RGB"), webp.convert("RGB")).getbbox() is None


def test_what_no_browser_opens_goes_as_it_is_and_can_be_repaired(
    form: Page, web: WebServer, tmp_path: Path
) -> None:
    tiff = picture("TIFF")
    files = five_pairs() | {
        "06_start.png": tiff,
        "06_end.tif": tiff,
        "07_start.jfif": JPEG,
        "07_end.jfif": JPEG,
    }
    choose_folder(form, laid_out(tmp_path / "set", files | {"06.txt": b"six", "07.txt": b"seven"}))
    expect(form.locator("[data-preview]")).to_contain_text(
        "“set/06_start.png” and “set/06_end.tif” are sent as they are; the portal then offers to convert"
    )
    checked()
    expect(form.get_by_role("button", name="Make a repaired copy")).to_be_visible()
    with uploaded(form, web) as archive:
        assert archive.read("06_start.tif") == archive.read("06_end.tif") == tiff
        assert archive.read("07_end.jpg") == JPEG


def test_what_is_no_picture_is_named_and_nothing_sent(form: Page, tmp_path: Path) -> None:
    sent = changes_of(form)
    choose_folder(form, laid_out(tmp_path / "set", five_pairs() | {"02_end.png": b"<html>"}))
    expect(form.locator("[data-preview]")).to_contain_text(
        "“set/02_end.png” is really a web page. Save it as PNG or JPEG."
    )
    expect(form.get_by_role("alert")).to_contain_text("Nothing was sent yet")
    assert sent == []


def changes_of(page: Page) -> list[str]:
    """The addresses to which the page sends more than questions, from now on."""
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method != "GET" else None)
    return sent


LEFT_OUT: dict[str, tuple[Files, str]] = {
    "a stray picture": ({"preview.png": PNG}, "“set/preview.png” belongs to no pair and is left out."),
    "a film": ({"film.mp4": b"film"}, "“set/film.mp4” is left out"),
    "a second caption": ({"01.caption": b"a cap"}, "“set/01.caption” is left out: its pair has another"),
    "a placeholder": ({"01.txt": b"[trigger] wears a hat"}, "“set/01.txt” has the placeholder [trigger]"),
    "another encoding": (
        {"01.txt": "put a hat on the man’s head".encode("cp1252")},
        "Is “set/01.txt” right, read as Windows-1252: “put a hat on the man’s head”?",
    ),
}


def test_what_a_packed_copy_would_lose_or_guess_is_asked_about_first(
    form: Page, web: WebServer, tmp_path: Path
) -> None:
    for name, (files, sentence) in LEFT_OUT.items():
        sent = changes_of(form)
        choose_folder(form, laid_out(tmp_path / name / "set", five_pairs() | files))
        expect(form.locator("[data-preview]")).to_contain_text(sentence)
        expect(form.get_by_role("button", name="Pack and upload")).to_be_visible()
        expect(form.get_by_role("button", name="Swap before and after")).to_be_hidden()
        assert [url for url in sent if "/code-page/" not in url] == [], name
        convert(form)
        with uploaded(form, web) as archive:
            assert sorted(archive.namelist()) == sorted(five_pairs())


def test_folders_that_cannot_be_told_apart_are_asked_about(form: Page, tmp_path: Path) -> None:
    folder = laid_out(tmp_path / "set", {f"{side}/{n}.png": PNG for side in "ab" for n in range(3)})
    choose_folder(form, folder)
    preview = form.locator("[data-preview]")
    expect(preview).to_contain_text(
        "The folders “set/a” and “set/b” hold the same names, but which one is “before”?"
    )
