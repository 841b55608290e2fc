"""Pictures and datasets on disk, and the ways to drop them on the form."""

from __future__ import annotations

import io
import itertools
import zipfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect

from finetune_portal.datasets import previews
from finetune_portal.worker.tasks import check_dataset
from tests.waiting import until
from tests.web_server import WebServer

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


def choose_files(page: Page, *paths: Path) -> None:
    page.get_by_label("ZIP file").set_input_files(list(paths))


def choose_folder(page: Page, folder: Path) -> None:
    page.get_by_label("Choose a folder").set_input_files(folder)


def drop(page: Page, *paths: Path, on: str = ".dropzone") -> None:
    """A real drag of real files from outside the browser."""
    box = page.locator(on).bounding_box()
    assert box
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    devtools = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        where = {"x": box["x"] + 20, "y": box["y"] + 20}
        devtools.send("Input.dispatchDragEvent", {"type": kind, **where, "data": data})


def uploaded(page: Page, web: WebServer) -> zipfile.ZipFile:
    """The file as the portal has it."""
    expect(page.locator("#dataset-status .badge")).to_be_visible()
    newest = max((web.data / "datasets").glob("*.zip"), key=lambda path: path.stat().st_mtime_ns)
    return zipfile.ZipFile(newest)


def checked() -> None:
    """Do what the worker does once an upload has ended: check the file, and make its first previews."""
    until(check_dataset, why="an upload has ended")
    while previews.make_next():
        pass


def hold_chunks(page: Page, let_through: int = 0) -> None:
    """The chunks of an upload after the first few wait until `unroute`."""
    count = itertools.count(1)

    def gate(route: Route) -> None:
        if route.request.method != "PATCH" or next(count) <= let_through:
            route.continue_()

    page.route("**/uploads/*/", gate)


def convert(page: Page) -> None:
    page.get_by_role("button", name="Pack and upload").click()


def begun(page: Page) -> None:
    expect(page.locator("#id_dataset")).not_to_have_value("")


def stopped(page: Page) -> Locator:
    return page.locator("[data-upload-stopped]")
