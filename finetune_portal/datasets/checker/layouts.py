"""Which files of a ZIP make a pair, in the vendor's layout and in those of other trainers.

The vendor's (docs/provider-api.md, 8.1), fal's and Replicate's: `01_start.png`, `01_end.png`, `01.txt`.
ai-toolkit's: the same names in a folder of control images and a folder of target images.
Hugging Face's: two such folders and a `metadata.jsonl` with the instructions.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from finetune_portal.datasets.checker import zip_names
from finetune_portal.datasets.checker.zip_members import Member

PICTURE = re.compile(
    r".+\.(?:jpe?g|jfif|png|webp|gif|bmp|tiff?|heic|heif|avif|svg)", re.IGNORECASE | re.DOTALL
)
HALF = re.compile(r"(?P<index>.+)_(?P<half>start|end)", re.IGNORECASE | re.DOTALL)
BEFORE = {
    "before",
    "control",
    "controls",
    "cond",
    "condition",
    "conditions",
    "conditioning",
    "input",
    "inputs",
}
BEFORE |= {"original", "originals", "source", "sources", "start"}
AFTER = {"after", "edited", "end", "output", "outputs", "result", "results", "target", "targets"}
DIRT_FILES = {"thumbs.db", "ehthumbs.db", "desktop.ini", zip_names.MAC_ICON.lower()}
DIRT_FOLDERS = {"__macosx", "meta-inf", "@eadir", "#recycle", "$recycle.bin", "system volume information"}
NOTES = re.compile(r"(?:read.?me|licen[cs]e|change.?log|notes?)", re.IGNORECASE)
CAPTION_KEYS = ("prompt", "caption", "instruction", "edit_prompt", "edit_instruction", "text")

ReadText = Callable[[Member], str]


@dataclass(frozen=True)
class Pair:
    """The control image (`start`), the target image (`end`), and the caption as a file or as text."""

    index: str
    start: Member
    end: Member
    caption_file: Member | None = None
    caption: str = ""


@dataclass
class Arrangement:
    """`layout` is flat, folder, folders, two folders, metadata, or unknown; the rest is what does not fit."""

    layout: str = "unknown"
    pairs: list[Pair] = field(default_factory=list)
    lack_start: list[str] = field(default_factory=list)
    lack_end: list[str] = field(default_factory=list)
    doubles: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    misnamed_captions: list[str] = field(default_factory=list)
    spare_captions: list[str] = field(default_factory=list)


Halves = dict[str, dict[str, Member]]


def dirt(label: str) -> str:
    """The part of a path that zippers, systems and file managers leave behind; empty in an honest one."""
    parts = zip_names.split(label)
    if parts[-1].lower() in DIRT_FILES:
        return parts[-1]
    return next((part for part in parts if part.startswith(".") or part.lower() in DIRT_FOLDERS), "")


def is_picture(member: Member) -> bool:
    return bool(PICTURE.fullmatch(member.label))


def is_text(label: str) -> bool:
    return label.lower().endswith((".txt", "metadata.jsonl"))


def bare(member: Member) -> str:
    """Its path without the ending, by which the files of a pair find each other."""
    return zip_names.join(member.folder, member.stem)


def arrange(files: list[Member], read_text: ReadText) -> Arrangement:
    """Find the pairs among `files`, the ZIP's members without dirt."""
    texts = {f"{bare(file)}.txt": file for file in files if file.suffix.lower() == ".txt"}
    pictures = [file for file in files if is_picture(file)]
    found = Arrangement()
    halves = _named_halves(pictures, found)
    if halves:
        folders = {stem.rpartition("/")[0] for stem in halves}
        found.layout = "flat" if folders == {""} else "folder" if len(folders) == 1 else "folders"
        found.folders = sorted(folders - {""})
        _pair_up(halves, texts, {}, found)
        _judge_captions(halves, texts, found)
        return found
    metadata = next((file for file in files if (file.stem + file.suffix).lower() == "metadata.jsonl"), None)
    captions = _from_metadata(metadata, pictures, read_text(metadata), found) if metadata else {}
    if not found.pairs:
        _from_two_folders(pictures, texts, captions, found)
    if metadata and found.pairs:
        found.layout = "metadata"
    return found


def _named_halves(pictures: list[Member], found: Arrangement) -> Halves:
    halves: Halves = defaultdict(dict)
    for picture in pictures:
        if not (match := HALF.fullmatch(picture.stem)):
            found.strangers.append(picture.label)
            continue
        index, half = match["index"], match["half"].lower()
        both = halves[zip_names.join(picture.folder, index)]
        if half in both:
            found.doubles.append(f"{index}_{half}")
        both.setdefault(half, picture)
    return halves


def _pair_up(halves: Halves, texts: dict[str, Member], captions: dict[str, str], found: Arrangement) -> None:
    """`captions` are texts by the name of a picture."""
    names = Counter(stem.rpartition("/")[2] for stem in halves)
    for stem in sorted(halves, key=_as_people_count):
        name = stem.rpartition("/")[2]
        index = name if names[name] == 1 else stem
        both = halves[stem]
        if len(both) < 2:
            (found.lack_end if "start" in both else found.lack_start).append(index)
            continue
        beside = [stem, bare(both["end"]), bare(both["start"])]
        own = (path for path in beside if f"{path}.txt" in texts and (path == stem or path not in halves))
        caption_file = next((texts[f"{path}.txt"] for path in own), None)
        caption = captions.get(both["end"].label) or captions.get(both["start"].label, "")
        found.pairs.append(Pair(index, both["start"], both["end"], caption_file, caption))


def _judge_captions(halves: Halves, texts: dict[str, Member], found: Arrangement) -> None:
    used = [pair.caption_file for pair in found.pairs if pair.caption_file]
    found.misnamed_captions = [
        file.label for file in used if HALF.fullmatch(file.stem) or file.suffix != ".txt"
    ]
    names = {file.name for file in used}
    found.spare_captions = [
        file.label
        for path, file in texts.items()
        if file.name not in names
        and path.removesuffix(".txt") not in halves
        and not NOTES.fullmatch(file.stem)
    ]


def _from_two_folders(
    pictures: list[Member], texts: dict[str, Member], captions: dict[str, str], found: Arrangement
) -> None:
    by_folder: dict[str, dict[str, Member]] = defaultdict(dict)
    for picture in pictures:
        by_folder[picture.folder][picture.stem] = picture
    if len(by_folder) != 2:
        return
    one, other = by_folder
    if not by_folder[one].keys() & by_folder[other].keys():
        return
    found.layout, found.strangers, found.folders = "two folders", [], [one or ".", other or "."]
    if (sides := _sides(one, other)) is None:
        return
    halves: Halves = defaultdict(dict)
    for half, folder in zip(("start", "end"), sides, strict=True):
        for stem, picture in by_folder[folder].items():
            halves[stem][half] = picture
    _pair_up(halves, texts, captions, found)


def _sides(one: str, other: str) -> tuple[str, str] | None:
    """The folder of control images and that of target images, if their names tell."""
    for before, after in ((one, other), (other, one)):
        tells = _words(before) & BEFORE or _words(after) & AFTER
        if tells and not (_words(before) & AFTER or _words(after) & BEFORE):
            return before, after
    return None


def _words(path: str) -> set[str]:
    return set(re.findall(r"[a-z]+", path.rpartition("/")[2].lower()))


def _from_metadata(metadata: Member, pictures: list[Member], text: str, found: Arrangement) -> dict[str, str]:
    """Pairs that whole rows name, no picture twice; returns the captions by the name of a picture."""
    root = PurePosixPath(metadata.folder)
    by_path = {bare(picture) + picture.suffix: picture for picture in pictures}
    captions: dict[str, str] = {}
    used: set[str] = set()
    for row in _rows(text):
        texts = (row.get(key) for key in CAPTION_KEYS)
        caption = next((text.strip() for text in texts if isinstance(text, str)), "")
        named = {
            key: by_path[path]
            for key, value in row.items()
            if isinstance(value, str) and (path := str(root / value)) in by_path
        }
        captions.update((picture.label, caption) for picture in named.values())
        labels = {picture.label for picture in named.values()}
        if len(named) == len(labels) == 2 and not labels & used and (sides := _row_sides(named)):
            used |= labels
            found.pairs.append(Pair(f"{len(used) // 2:02}", *sides, caption=caption))
    found.strangers = [label for label in found.strangers if label not in used]
    return captions


def _rows(text: str) -> Iterator[dict[str, object]]:
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            yield row


def _row_sides(named: dict[str, Member]) -> tuple[Member, Member] | None:
    """Which of two pictures is the control image: by the name of its folder, then of its column."""
    (one_key, one), (other_key, other) = named.items()
    folders = _sides(one.folder, other.folder)
    if folders:
        return (one, other) if one.folder == folders[0] else (other, one)
    columns = _sides(one_key, other_key)
    if columns:
        return (one, other) if one_key == columns[0] else (other, one)
    return None


def _as_people_count(text: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", text)]
