"""Layouts of other tools, odd names, other kinds of pictures: told in words, packed as the vendor wants."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import Page, expect

from finetune_portal.datasets.checker import inspect_zip
from tests.e2e.conftest import Portal
from tests.e2e.dropping import (
    HALVES,
    JPEG,
    PNG,
    WEBP,
    Files,
    begun,
    choose_files,
    choose_folder,
    convert,
    five_pairs,
    hold_chunks,
    laid_out,
    packed,
    picture,
    stopped,
    uploaded,
)

pytestmark = pytest.mark.browser


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


def test_other_layouts_are_packed_as_the_vendor_wants(form: Page, portal: Portal, tmp_path: Path) -> None:
    for layout, (files, captions) in OTHER_LAYOUTS.items():
        choose_folder(form, laid_out(tmp_path / layout, files))
        if layout != THE_VENDORS_NAMES:
            convert(form)
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
    hold_chunks(form)
    choose_files(form, whole)
    preview = form.locator("[data-preview]")
    expect(preview).to_contain_text("“control” is taken as before and “target” as after")
    convert(form)
    begun(form)
    form.reload()
    form.unroute("**/uploads/*/")
    expect(stopped(form)).to_contain_text("“winter.zip” stopped at 0 %")
    choose_files(form, whole)
    convert(form)
    with uploaded(form, portal) as archive:
        assert "01_start.png" in archive.namelist()


def test_nothing_is_packed_before_a_person_said_which_half_is_before(
    form: Page, portal: Portal, tmp_path: Path
) -> None:
    files = {f"{side}/{n}.png": picture(colour=side) for side in ("red", "blue") for n in range(3)}
    folder = laid_out(tmp_path / "set", files | {f"red/{n}.txt": b"make it red" for n in range(3)})
    sent: list[str] = []
    form.on("request", lambda request: sent.append(request.url) if request.method != "GET" else None)
    choose_folder(form, folder)
    preview = form.locator("[data-preview]")
    expect(preview).to_contain_text("“blue” is taken as before and “red” as after")
    form.get_by_role("button", name="Swap before and after").click()
    expect(preview).to_contain_text("Before and after are swapped.")
    assert sent == []
    convert(form)
    with uploaded(form, portal) as archive:
        assert archive.read("0_start.png") == picture(colour="red")
        assert archive.read("0_end.png") == picture(colour="blue")
        assert archive.read("0.txt") == b"make it red"


def test_extensions_follow_the_bytes_and_other_kinds_become_png(
    form: Page, portal: Portal, tmp_path: Path
) -> None:
    files = {"1_start.png": JPEG, "1_end.jpeg": PNG, "2_start.gif": picture("GIF"), "2_end.webp": WEBP}
    choose_folder(form, laid_out(tmp_path / "set", files))
    expect(form.locator("[data-preview]")).to_contain_text("packed as PNG, without loss")
    with uploaded(form, portal) as archive:
        assert set(archive.namelist()) == {"1_start.jpg", "1_end.png", "2_start.png", "2_end.png"}
        made = io.BytesIO(archive.read("2_end.png"))
        with Image.open(made) as image, Image.open(io.BytesIO(WEBP)) as webp:
            assert image.format == "PNG"
            assert ImageChops.difference(image.convert("RGB"), webp.convert("RGB")).getbbox() is None


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\0\0\0\x18ftypheic" + bytes(40), "“2_end.png” is a HEIC picture. Save it as JPEG or PNG."),
        (b"II*\0" + bytes(40), "“2_end.png” is a TIFF picture. Save it as JPEG or PNG."),
        (b"<html>", "“2_end.png” is no picture. Save it as JPEG or PNG."),
    ],
)
def test_what_no_browser_opens_is_named_and_nothing_sent(
    form: Page, tmp_path: Path, content: bytes, sentence: str
) -> None:
    files = five_pairs() | {"02_start.png": PNG, "02_end.png": content}
    sent: list[str] = []
    form.on("request", lambda request: sent.append(request.url) if request.method != "GET" else None)
    choose_folder(form, laid_out(tmp_path / "set", files))
    expect(form.locator("[data-preview]")).to_contain_text(sentence.replace("2_", "02_"))
    expect(form.get_by_role("alert")).to_contain_text("Nothing was sent yet")
    assert sent == []


ODD_ZIPS: dict[str, tuple[Files, str]] = {
    "WebP by name": ({f"{n}_{half}.webp": WEBP for n in range(5) for half in HALVES}, "really WebP"),
    "capitals": (
        {f"{n}_{half.upper()}.PNG": PNG for n in range(5) for half in HALVES}
        | {f"{n}.TXT": b"a hat" for n in range(5)},
        "5 pairs with captions",
    ),
    "dots": ({f"./{name}": content for name, content in five_pairs().items()}, "5 pairs with captions"),
    "litter": (
        five_pairs() | {"THUMBS.DB": b"x", "Icon\r": b"", "@eaDir/01_start.png/SYNOFILE_THUMB_M.png": PNG},
        "5 pairs with captions",
    ),
    "captions of the target": (
        {name.replace(".txt", "_end.txt"): content for name, content in five_pairs().items()},
        "5 pairs with captions",
    ),
    "UTF-16": (
        {name: content.decode().encode("utf-16") if ".txt" in name else content
         for name, content in five_pairs().items()},
        "saved as “Unicode” (UTF-16). The portal can repair it.",
    ),
    "another code page": (five_pairs() | {"01.txt": "Größe".encode("cp1252")}, "“01.txt” is not plain UTF-8"),
}  # fmt: skip


def test_the_browser_sees_a_zip_as_the_portals_check_will(form: Page, tmp_path: Path) -> None:
    for name, (files, sentence) in ODD_ZIPS.items():
        whole = tmp_path / f"{name}.zip"
        whole.write_bytes(packed(files))
        hold_chunks(form)
        choose_files(form, whole)
        preview = form.locator("[data-preview]")
        expect(preview).to_contain_text(sentence)
        expect(preview).to_contain_text("5 pairs")
        verdict = inspect_zip(whole)
        assert len(verdict.pairs) == 5
        assert preview.locator(".bad").count() == len(verdict.problems), name
        form.unroute("**/uploads/*/")


def test_folders_that_cannot_be_told_apart_are_asked_about(form: Page, tmp_path: Path) -> None:
    folder = laid_out(tmp_path / "set", {f"{side}/{n}.png": PNG for side in "ab" for n in range(3)})
    choose_folder(form, folder)
    preview = form.locator("[data-preview]")
    expect(preview).to_contain_text("“a” and “b” hold the same names, but nothing says")
