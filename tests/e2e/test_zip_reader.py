"""The browser's reader of ZIP directories, alone, against ZIPs of every kind that Python can write."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.e2e.dropping import packed
from tests.web_server import WebServer

pytestmark = pytest.mark.browser

READ = """async (address) => {
  const [file] = document.getElementById("probe").files;
  const { readDirectory } = await import(address);
  try {
    const members = await readDirectory(file);
    const text = async (member) => await (await member.open()).text();
    const first = members.length ? await text(members[0]) : "";
    return { names: members.map((member) => member.path), first };
  } catch (error) {
    return { sentence: error.message };
  }
}"""


class Unseekable(io.RawIOBase):
    """A pipe: what zipfile writes into it has data descriptors."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += data
        return len(data)


def streamed() -> bytes:
    pipe = Unseekable()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("é.txt", "first")
    return bytes(pipe.data)


def zip64(monkeypatch: pytest.MonkeyPatch) -> bytes:
    data = io.BytesIO()
    with monkeypatch.context() as patched, zipfile.ZipFile(data, "w") as archive:
        patched.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 0)  # the end record is zip64 from the first member on
        patched.setattr(zipfile, "ZIP64_LIMIT", 1)  # and so are sizes and offsets
        with archive.open("1.txt", "w", force_zip64=True) as member:
            member.write(b"first")
        archive.writestr("2.txt", "second")
        archive.close()
    return data.getvalue()


def with_name(name: bytes) -> bytes:
    return packed({"X" * len(name): b"first"}).replace(b"X" * len(name), name)


def encrypted() -> bytes:
    data = packed({"1.txt": b"first"})
    directory = data.index(b"PK\x01\x02")
    return data[: directory + 8] + b"\x01" + data[directory + 9 :]


def commented() -> bytes:
    data = io.BytesIO(packed({"1.txt": b"first"}))
    with zipfile.ZipFile(data, "a") as archive:
        archive.comment = b"not the end: PK\x05\x06" + b"." * 300
    return data.getvalue()


def test_the_reader_knows_zips_of_every_kind(
    form: Page, web: WebServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = json.loads((web.data / "static" / "staticfiles.json").read_text())["paths"]
    form.evaluate(
        "document.body.append(Object.assign(document.createElement('input'), {type: 'file', id: 'probe'}))"
    )
    plain = packed({"1.txt": b"first"})
    many = packed({f"{n:05}.txt": b"" for n in range(20_000)})
    cases: dict[str, tuple[bytes, list[str] | str]] = {
        "plain": (plain, ["1.txt"]),
        "streamed": (streamed(), ["é.txt"]),
        "zip64": (zip64(monkeypatch), ["1.txt", "2.txt"]),
        "zip64 behind a program": (b"MZ" * 50 + zip64(monkeypatch), ["1.txt", "2.txt"]),
        "comment": (commented(), ["1.txt"]),
        "code page 437": (with_name(b"caf\x82.txt"), ["café.txt"]),
        "Shift-JIS with 5C": (with_name("予定表.txt".encode("cp932")), ["予定表.txt"]),
        "a password": (encrypted(), "“1.txt” has a password."),
        "an odd method": (packed({"1.txt": b"first"}, zipfile.ZIP_LZMA), "“1.txt” is packed in a way"),
        "UTF-8 unannounced": (with_name("größe.txt".encode()), ["größe.txt"]),
        "empty": (packed({}), []),
        "many": (many, [f"{n:05}.txt" for n in range(20_000)]),
        "cut off": (plain[:-10], "This is not a readable ZIP file."),
        "no directory": (plain[-22:], "The ZIP is damaged or cut off."),
        "other directory": (plain.replace(b"PK\x01\x02", b"PK\x09\x09"), "The ZIP is damaged or cut off."),
        "not a ZIP": (b"GIF89a", "This is not a readable ZIP file."),
        "nothing": (b"", "This is not a readable ZIP file."),
    }
    for case, (data, expected) in cases.items():
        path = tmp_path / "case.zip"
        path.write_bytes(data)
        form.locator("#probe").set_input_files(path)
        result = form.evaluate(READ, f"/static/{names['js/zip-reader.js']}")
        if isinstance(expected, str):
            assert result.get("sentence", "").startswith(expected), case
        else:
            first = "first" if expected and case != "many" else ""
            assert result == {"names": expected, "first": first}, case


def test_names_stay_whole_where_the_code_page_cannot_be_asked_for(
    form: Page, web: WebServer, tmp_path: Path
) -> None:
    names = json.loads((web.data / "static" / "staticfiles.json").read_text())["paths"]
    path = tmp_path / "case.zip"
    path.write_bytes(with_name("予定表.txt".encode("cp932")))
    form.evaluate(
        "document.body.append(Object.assign(document.createElement('input'), {type: 'file', id: 'probe'}))"
    )
    form.locator("#probe").set_input_files(path)
    form.route("**/code-page/", lambda route: route.abort())
    result = form.evaluate(READ, f"/static/{names['js/zip-reader.js']}")
    assert result == {"names": ["x97x5cx92xe8x95x5c.txt"], "first": "first"}
