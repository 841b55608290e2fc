"""The browser's check and the server's find the same pairs in the same files, and say the same of them.

What the browser packs of loose files is read as a training reads it.
"""

from __future__ import annotations

import json
import unicodedata
from base64 import b64decode
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from finetune_portal.datasets.checker import zip_members, zip_names
from finetune_portal.datasets.checker.inspect import inspect_zip
from finetune_portal.engine import datasets
from finetune_portal.engine.images import pixels
from tests import code_pages
from tests.contract.combinations import TOLERANCE, Combination, covering, dataset, few
from tests.datasets.corpus.zip_builder import Entry, build
from tests.e2e.dropping import HALVES, JPEG, PNG, WEBP, Files, packed, picture
from tests.web_server import WebServer

pytestmark = [pytest.mark.browser, pytest.mark.long]

JUDGE = """async ([pairs, checks, zips, _packing]) => {
  const { readPairs } = await import(pairs);
  const { checkPairs } = await import(checks);
  const { readDirectory } = await import(zips);
  const verdicts = {};
  for (const file of document.getElementById("probe").files) {
    const members = await readDirectory(file).catch((error) => error.message);
    if (typeof members === "string") {
      verdicts[file.name] = { pairs: [], problems: [members], warnings: [], questions: [] };
      continue;
    }
    const result = await readPairs(members);
    const more = await checkPairs(result, new AbortController().signal);
    verdicts[file.name] = {
      pairs: result.pairs.map(({ index, start, end, further, text }) =>
        [index, ...[start, end, ...further].map(({ path }) => path), text]),
      problems: result.findings.sentences("problem"),
      warnings: result.findings.sentences("warning"),
      questions: [...result.questions, ...more],
    };
  }
  return verdicts;
}"""
PACK = """async ([pairs, checks, zips, packing]) => {
  const { readPairs } = await import(pairs);
  const { checkPairs } = await import(checks);
  const { readDirectory } = await import(zips);
  const { packPairs } = await import(packing);
  const packed = {};
  const { signal } = new AbortController();
  for (const file of document.getElementById("probe").files) {
    const result = await readPairs(await readDirectory(file));
    await checkPairs(result, signal);
    const options = { name: file.name, lastModified: 0, signal, onProgress: () => {} };
    const zip = await packPairs(result.pairs, options);
    const bytes = new Uint8Array(await zip.arrayBuffer());
    packed[file.name] = btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  }
  return packed;
}"""
# What only the decoded pixels or the bytes of names in the ZIP show.
SERVER_ONLY = (
    "smaller than 256 pixels",
    "differ in shape",
    "more than 8 bits per channel",
    "print colours",
    "partly transparent",
    "by its EXIF data",
    "by their EXIF data",
    "colours of another profile",
    "in different colour spaces",
    "same picture",
    "same pair",
    "spelled in two ways",
    "named in an old code page",
    "may be ignored in training",
)


def pairs_named(start: str, end: str, caption: str = "", image: bytes = PNG) -> Files:
    """Five pairs whose files are named by patterns with a number."""
    files: Files = {}
    for number in range(1, 6):
        files |= {start.format(number): image, end.format(number): image + b" "}
        if caption:
            files[caption.format(number)] = f"add hat {number}".encode()
    return files


FLAT = pairs_named("0{}_start.png", "0{}_end.png", "0{}.txt")
FURTHER = {f"0{number}_start2.png": PNG + b"  " for number in range(1, 5)}
TWO_FOLDERS = pairs_named("control/{}.png", "target/{}.png", "target/{}.txt")
TABLE = "file_name,source,prompt\n" + "".join(f't/{n}.png,s/{n}.png,"snow, ""much"""\n' for n in range(1, 6))
ROWS = "\n".join(
    json.dumps({"image": f"t/{n}.png", "kontext_images": [f"s/{n}.png"], "prompt": "añade"})
    for n in range(1, 6)
)
BY_TABLE = pairs_named("s/{}.png", "t/{}.png")
DECOMPOSED = {
    unicodedata.normalize("NFD", name) if "start" in name else name: content
    for name, content in pairs_named("größe{}_start.png", "größe{}_end.png", "größe{}.txt").items()
}


def captions(text: str, encoding: str) -> Files:
    return FLAT | {f"0{n}.txt": f"{text} {n}".encode(encoding) for n in range(1, 6)}


SETS: dict[str, Files] = {
    "the provider's": FLAT,
    "in a folder": {f"set/{name}": content for name, content in FLAT.items()},
    "in folders": pairs_named("{}/1_start.png", "{}/1_end.png", "{}/1.txt"),
    "captions of kohya": pairs_named("{}_start.png", "{}_end.png", "{}.caption"),
    "JFIF": pairs_named("{}_start.jfif", "{}_end.jfif", image=JPEG),
    "captions of the target": pairs_named("{}_start.png", "{}_end.png", "{}_end.txt"),
    "dots and backslashes": {f"./set\\{name}": content for name, content in FLAT.items()},
    "litter": FLAT | {"THUMBS.DB": b"x", "Icon\r": b"", "@eaDir/01_start.png/SYNOFILE_THUMB_M.png": PNG},
    "capitals": pairs_named("CAT{}_START.PNG", "cat{}_end.png", "Cat{}.TXT"),
    "words": pairs_named("{}-Source.png", "{}-Target.png", "{}-Target.txt"),
    "words across folders": pairs_named("a/{}_control.png", "b/{}_target.png", "b/{}_target.txt"),
    "a folder for each pair": pairs_named("{}/before.png", "{}/after.png", "{}/caption.txt"),
    "a numbered word": pairs_named("{}_control1.png", "{}_target.png", "{}.txt"),
    "two folders": TWO_FOLDERS,
    "a folder in a folder": pairs_named("set/control/{}.png", "set/{}.png", "set/{}.txt"),
    "one folder with a word": pairs_named("control_images/{}.png", "dataset/{}.png", "dataset/{}.txt"),
    "captions in a third folder": pairs_named("control/{}.png", "target/{}.png", "captions/{}.txt"),
    "captions beside one folder": pairs_named("left/{}.png", "right/{}.png", "right/{}.txt"),
    "unclear folders": pairs_named("left/{}.png", "right/{}.png"),
    "strays": TWO_FOLDERS
    | {"preview.png": PNG, "README.txt": b"hats", "more.txt": b"hats", "film.mp4": b"", "a.json": b"{}"}
    | {"control/6.png": PNG, "target/2.caption": b"another", "Thumbs.db": b"", "__MACOSX/x": b""},
    "several folders of inputs": pairs_named("control1/{}.png", "target/{}.png")
    | pairs_named("control2/{}.png", "target/{}.png"),
    "several inputs by name": pairs_named("{}_control1.png", "{}_target.png")
    | pairs_named("{}_control2.png", "{}_target.png"),
    "further inputs": FLAT | FURTHER | {"01_START3.jpg": JPEG, "02_start2.webp": WEBP},
    "further inputs in a folder": {f"set/{name}": content for name, content in (FLAT | FURTHER).items()},
    "further inputs with gaps": FLAT
    | {"01_start3.png": PNG, "02_start2.png": PNG, "02_start2.jpg": JPEG, "cat_start2.png": PNG}
    | {f"03_start{number}.png": PNG for number in range(2, 12)},
    "no further inputs": FLAT
    | {"1_start2_start.png": PNG, "1_start2_end.png": PNG, "01_start2024.png": PNG, "01_start02.png": PNG}
    | {"01_start1.png": PNG, "01_end2.png": PNG, "01_start2.txt": b"a hat"},
    "R and T": pairs_named("{}_R.png", "{}_T.png", "{}.txt"),
    "1 and 2": pairs_named("{}_1.png", "{}_2.png", "{}.txt"),
    "letters after digits": pairs_named("{}b.png", "{}a.png") | {"my_cover.png": PNG},
    "a word and another": pairs_named("{}_mask.png", "{}_Control.png"),
    "three endings": pairs_named("{}_1.png", "{}_2.png") | pairs_named("{}_2.png", "{}_3.png"),
    "one pair of any two endings": {"cat_1.png": PNG, "cat_2.png": PNG},
    "several folders of any name": pairs_named("depth/{}.png", "target/{}.png")
    | pairs_named("edges/{}.png", "target/{}.png"),
    "src and dst": pairs_named("{}_src.png", "{}_dst.png"),
    "CSV": BY_TABLE | {"metadata.csv": TABLE.encode()},
    "CSV with semicolons": BY_TABLE | {"metadata.csv": TABLE.replace(",", ";").encode("utf-8-sig")},
    "CSV in UTF-16": BY_TABLE | {"metadata.csv": TABLE.encode("utf-16")},
    "CSV in a code page": BY_TABLE | {"metadata.csv": TABLE.replace("snow", "größer").encode("cp1252")},
    "a table of another name": BY_TABLE | {"a.tsv": TABLE.replace(",", "\t").encode(), "b.csv": b"x,y"},
    "a table of a usual name": BY_TABLE | {"a.jsonl": b'{"text": "x"}', "metadata.csv": TABLE.encode()},
    "a table that says no half": pairs_named("{}x.png", "{}y.png")
    | {"pairs.csv": b"one,two\n" + b"".join(b"%dx.png,%dy.png\n" % (n, n) for n in range(1, 6))},
    "a table with a general column": pairs_named("{}x.png", "{}y.png")
    | {"pairs.csv": b"image,two\n" + b"".join(b"%dx.png,%dy.png\n" % (n, n) for n in range(1, 6))},
    "JSON lines": BY_TABLE | {"metadata.jsonl": ROWS.encode()},
    "a table with gaps": {name: content for name, content in BY_TABLE.items() if name != "t/3.png"}
    | {"metadata.csv": TABLE.encode()},
    "captions in a table": {name: content for name, content in FLAT.items() if ".png" in name}
    | {"metadata.jsonl": b'{"file_name": "01_end.png", "text": "rain"}'},
    "decomposed": DECOMPOSED,
    "Windows-1252": captions("the man’s hat", "cp1252"),
    "Shift-JIS": captions("帽子をかぶせる", "cp932"),
    "GBK": captions("给他戴上帽子", "gb18030"),
    "EUC-KR": captions("모자를 씌우다", "cp949"),
    "Windows-1251": captions("надень шапку", "cp1251"),
    "UTF-16": captions("größer", "utf-16"),
    "UTF-16 without a mark": captions("add a hat", "utf-16-be"),
    "UTF-16 without a mark or zeros": captions("帽子をかぶせる", "utf-16-le"),
    "a byte order mark": captions("größer", "utf-8-sig"),
    "no text": FLAT | {"02.txt": bytes(range(256))},
    "long and empty": FLAT | {"02.txt": b"x" * 70_000, "03.txt": b" \n", "04.txt": b"x " * 1_500},
    "placeholders": FLAT | {"02.txt": b"[trigger] in a hat", "03.txt": b"{{ Trigger_Word }} in a hat"},
    "captions of taggers": pairs_named("{}_start.png", "{}_end.png", "{}.tags"),
    "PJPEG": pairs_named("{}_start.pjpeg", "{}_end.pjp", image=JPEG),
    "captions in JSON": {
        name.replace(".txt", ".json"): b'{"caption": "a hat"}' if ".txt" in name else content
        for name, content in FLAT.items()
    },
    "some captions": {name: content for name, content in FLAT.items() if name not in ("01.txt", "05.txt")},
    "a half is missing": {name: content for name, content in FLAT.items() if name != "03_end.png"},
    "two of one name": TWO_FOLDERS | {"control/3.jpg": JPEG},
    "few": {name: content for name, content in FLAT.items() if name.startswith("01")},
    "no pictures": {"01.txt": b"a hat"},
    "no pairs": {"cat.png": PNG, "dog.png": PNG},
    "nothing": {".DS_Store": b""},
    "other types": FLAT
    | {f"{number}_{half}{ending}": content for (number, ending, content), half in product(
        [
            (6, ".webp", WEBP), (7, ".gif", picture("GIF")), (8, ".bmp", picture("BMP")),
            (9, ".tif", picture("TIFF")), (10, ".avif", picture("AVIF")), (11, ".png", JPEG),
        ],
        HALVES,
    )},
    "no pictures by their bytes": FLAT
    | {"01_end.png": b"%PDF-1.7", "02_end.png": b"<html>", "03_end.png": b"x", "04_end.png": b"8BPS"},
}  # fmt: skip

PARTS = pytest.mark.parametrize(
    "combinations",
    [
        pytest.param(few(), id="every choice"),
        pytest.param(covering(60)[0], id="every pair of choices", marks=pytest.mark.slow),
    ],
)
NAMES = code_pages.NAMES | {"utf-8": ["größe", "café", "niño", "帽", "кот"]}


def named_in(page: str) -> bytes:
    entries = []
    for number, name in enumerate(NAMES[page]):
        for ending, content in (("_start.png", PNG), ("_end.png", PNG + b" "), (".txt", b"a hat")):
            # Programs of one ZIP may differ in the flag of UTF-8.
            flags = 0x800 if page == "utf-8" and number % 2 else 0
            entries.append(Entry((name + ending).encode(page), content, flags=flags))
    return build(entries)


def label_of(member: zip_members.Member) -> str:
    """The name as people read it, without dots and backslashes."""
    return zip_names.join_path(member.folder, member.stem + member.suffix)


def server_verdict(path: Path) -> dict[str, Any]:
    verdict = inspect_zip(path)
    labels: dict[str, str] = {}
    if verdict.pairs:
        with path.open("rb") as file:
            labels = {each.name: label_of(each) for each in zip_members.read_members(file)}
    return {
        "pairs": [
            [each.index, *(labels[name] for name in each.images), each.caption] for each in verdict.pairs
        ],
        "problems": verdict.problems,
        "warnings": [each for each in verdict.warnings if not any(part in each for part in SERVER_ONLY)],
        "questions": [each["sentence"] for each in verdict.questions],
    }


def run(script: str, zips: dict[str, bytes], form: Page, web: WebServer, folder: Path) -> dict[str, Any]:
    """What the script makes of the ZIPs, which it finds in an input of the page."""
    names = json.loads((web.data / "static" / "staticfiles.json").read_text())["paths"]
    for name, content in zips.items():
        (folder / f"{name}.zip").write_bytes(content)
    form.evaluate(
        """document.body.append(
             Object.assign(document.createElement('input'), {type: 'file', id: 'probe', multiple: true}))"""
    )
    form.locator("#probe").set_input_files(sorted(folder.glob("*.zip")))
    modules = ("pairs", "check-pairs", "zip-reader", "pack-zip")
    made: dict[str, Any] = form.evaluate(script, [f"/static/{names[f'js/{name}.js']}" for name in modules])
    return made


@PARTS
def test_browser_and_server_judge_the_same_files_alike(
    combinations: list[Combination], form: Page, web: WebServer, tmp_path: Path
) -> None:
    zips = {name: packed(files) for name, files in SETS.items()}
    zips |= {f"names in {page}": named_in(page) for page in NAMES}
    zips |= {str(each): dataset(each)[0] for each in combinations}
    judged = run(JUDGE, zips, form, web, tmp_path)
    differ = []
    for name in zips:
        ours, theirs = judged[f"{name}.zip"], server_verdict(tmp_path / f"{name}.zip")
        if any("really" in problem for problem in theirs["problems"]):
            # The server lists pairs of which it could open both pictures.
            ours["pairs"] = [pair for pair in ours["pairs"] if pair in theirs["pairs"]]
        differ += [(name, key, ours[key], theirs[key]) for key in theirs if ours[key] != theirs[key]]
    assert differ == []


def test_the_browser_packs_further_inputs(form: Page, web: WebServer, tmp_path: Path) -> None:
    files = {f"set/{name}": content for name, content in (FLAT | FURTHER).items()}
    files["set/01_start3.webp"] = WEBP
    copies = run(PACK, {"dataset": packed(files)}, form, web, tmp_path)
    path = tmp_path / "packed.zip"
    path.write_bytes(b64decode(copies["dataset.zip"]))
    verdict = inspect_zip(path)
    assert verdict.problems == []
    assert [[name for name, _ in pair.further] for pair in verdict.pairs] == [
        ["01_start2.png", "01_start3.png"],
        *([f"0{number}_start2.png"] for number in range(2, 5)),
        [],
    ]


@PARTS
def test_what_the_browser_packs_trains_as_it_looks(
    combinations: list[Combination], form: Page, web: WebServer, tmp_path: Path
) -> None:
    made = {str(each): dataset(each) for each in combinations}
    zips = {name: content for name, (content, _) in made.items()}
    copies = run(PACK, zips, form, web, tmp_path)
    path, differ = tmp_path / "packed.zip", {}
    for name, (_, shown) in made.items():
        path.write_bytes(b64decode(copies[f"{name}.zip"]))
        problems = inspect_zip(path).problems
        seen = {}
        if not problems:
            datasets.check(path, instance_prompt="", check_image=pixels.check)
            pairs = datasets.pairs(path, instance_prompt="")
            seen = {each.instruction: pixels.decode(each.target.content).getpixel((9, 9)) for each in pairs}
        if seen != {caption: pytest.approx(colour, abs=TOLERANCE) for caption, colour in shown}:
            differ[name] = (problems, seen)
    assert differ == {}
