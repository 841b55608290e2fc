"""Find the pairs among the files of a ZIP, in the provider's layout and in those of other trainers.

Segmind (docs/provider-api.md, 8.1), fal and Replicate: `01_start.png`, `01_end.png`, `01.txt`.
ai-toolkit: the same names in a folder of control images and a folder of target images.
Hugging Face: two such folders and a `metadata.jsonl` with the prompts.
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

IMAGE = re.compile(r".+\.(?:jpe?g|jfif|png|webp|gif|bmp|tiff?|heic|heif|avif|svg)", re.IGNORECASE | re.DOTALL)
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
JUNK_FILES = {"thumbs.db", "ehthumbs.db", "desktop.ini", zip_names.MAC_ICON.lower()}
JUNK_FOLDERS = {"__macosx", "meta-inf", "@eadir", "#recycle", "$recycle.bin", "system volume information"}
NOTES = re.compile(r"(?:read.?me|licen[cs]e|change.?log|notes?)", re.IGNORECASE)
CAPTION_KEYS = ("prompt", "caption", "instruction", "edit_prompt", "edit_instruction", "text")

ReadText = Callable[[Member], str]


@dataclass(frozen=True)
class Pair:
    """The input image (`start`), the target image (`end`), and the caption as a file or as text."""

    index: str
    start: Member
    end: Member
    caption_file: Member | None = None
    caption: str = ""


@dataclass
class Arrangement:
    """`layout` is flat, folder, folders, two folders, metadata or unknown; the lists hold what is left."""

    layout: str = "unknown"
    pairs: list[Pair] = field(default_factory=list)
    missing_start: list[str] = field(default_factory=list)
    missing_end: list[str] = field(default_factory=list)
    duplicates: list[str] = field(default_factory=list)
    unpaired: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    misnamed_captions: list[str] = field(default_factory=list)
    unused_captions: list[str] = field(default_factory=list)


Halves = dict[str, dict[str, Member]]


def junk_part(label: str) -> str:
    """The part of a path that a system or file manager added, such as __MACOSX; else empty."""
    parts = zip_names.path_parts(label)
    if parts[-1].lower() in JUNK_FILES:
        return parts[-1]
    return next((part for part in parts if part.startswith(".") or part.lower() in JUNK_FOLDERS), "")


def is_image(member: Member) -> bool:
    return bool(IMAGE.fullmatch(member.label))


def is_text(label: str) -> bool:
    return label.lower().endswith((".txt", "metadata.jsonl"))


def path_without_suffix(member: Member) -> str:
    """The path without its suffix, which the files of a pair share."""
    return zip_names.join_path(member.folder, member.stem)


def arrange(files: list[Member], read_text: ReadText) -> Arrangement:
    """Find the pairs among `files`, the members of the ZIP without junk."""
    texts = {f"{path_without_suffix(file)}.txt": file for file in files if file.suffix.lower() == ".txt"}
    images = [file for file in files if is_image(file)]
    arrangement = Arrangement()
    if halves := _group_by_name(images, arrangement):
        folders = {stem.rpartition("/")[0] for stem in halves}
        arrangement.layout = "flat" if folders == {""} else "folder" if len(folders) == 1 else "folders"
        arrangement.folders = sorted(folders - {""})
        _pair_up(halves, texts, {}, arrangement)
        _sort_captions(halves, texts, arrangement)
    else:
        metadata = next((file for file in files if _is_metadata(file)), None)
        captions = _pair_by_metadata(metadata, images, read_text(metadata), arrangement) if metadata else {}
        if not arrangement.pairs:
            _pair_two_folders(images, texts, captions, arrangement)
        if metadata and arrangement.pairs:
            arrangement.layout = "metadata"
    return arrangement


def _is_metadata(member: Member) -> bool:
    return (member.stem + member.suffix).lower() == "metadata.jsonl"


def _group_by_name(images: list[Member], arrangement: Arrangement) -> Halves:
    halves: Halves = defaultdict(dict)
    for image in images:
        if not (match := HALF.fullmatch(image.stem)):
            arrangement.unpaired.append(image.label)
            continue
        index, half = match["index"], match["half"].lower()
        both = halves[zip_names.join_path(image.folder, index)]
        if half in both:
            arrangement.duplicates.append(f"{index}_{half}")
        both.setdefault(half, image)
    return halves


def _pair_up(
    halves: Halves, texts: dict[str, Member], captions: dict[str, str], arrangement: Arrangement
) -> None:
    """Add the pairs of `halves`. `captions` holds texts by the label of an image."""
    names = Counter(stem.rpartition("/")[2] for stem in halves)
    for stem in sorted(halves, key=_natural_order):
        name = stem.rpartition("/")[2]
        index = name if names[name] == 1 else stem
        both = halves[stem]
        if len(both) < 2:
            (arrangement.missing_end if "start" in both else arrangement.missing_start).append(index)
            continue
        candidates = [stem, path_without_suffix(both["end"]), path_without_suffix(both["start"])]
        own = (path for path in candidates if f"{path}.txt" in texts and (path == stem or path not in halves))
        caption_file = next((texts[f"{path}.txt"] for path in own), None)
        caption = captions.get(both["end"].label) or captions.get(both["start"].label, "")
        arrangement.pairs.append(Pair(index, both["start"], both["end"], caption_file, caption))


def _sort_captions(halves: Halves, texts: dict[str, Member], arrangement: Arrangement) -> None:
    used = [pair.caption_file for pair in arrangement.pairs if pair.caption_file]
    arrangement.misnamed_captions = [
        file.label for file in used if HALF.fullmatch(file.stem) or file.suffix != ".txt"
    ]
    names = {file.name for file in used}
    arrangement.unused_captions = [
        file.label
        for path, file in texts.items()
        if file.name not in names
        and path.removesuffix(".txt") not in halves
        and not NOTES.fullmatch(file.stem)
    ]


def _pair_two_folders(
    images: list[Member], texts: dict[str, Member], captions: dict[str, str], arrangement: Arrangement
) -> None:
    by_folder: dict[str, dict[str, Member]] = defaultdict(dict)
    for image in images:
        by_folder[image.folder][image.stem] = image
    if len(by_folder) != 2:
        return
    one, other = by_folder
    if not by_folder[one].keys() & by_folder[other].keys():
        return
    arrangement.layout, arrangement.unpaired, arrangement.folders = (
        "two folders",
        [],
        [one or ".", other or "."],
    )
    if (sides := _sides(one, other)) is None:
        return
    halves: Halves = defaultdict(dict)
    for half, folder in zip(("start", "end"), sides, strict=True):
        for stem, image in by_folder[folder].items():
            halves[stem][half] = image
    _pair_up(halves, texts, captions, arrangement)


def _sides(one: str, other: str) -> tuple[str, str] | None:
    """The folder of input images and that of target images, if their names say which is which."""
    for before, after in ((one, other), (other, one)):
        matches = _words(before) & BEFORE or _words(after) & AFTER
        if matches and not (_words(before) & AFTER or _words(after) & BEFORE):
            return before, after
    return None


def _words(path: str) -> set[str]:
    return set(re.findall(r"[a-z]+", path.rpartition("/")[2].lower()))


def _pair_by_metadata(
    metadata: Member, images: list[Member], text: str, arrangement: Arrangement
) -> dict[str, str]:
    """Add a pair for each row that names two new images; return the captions by the label of an image."""
    root = PurePosixPath(metadata.folder)
    by_path = {path_without_suffix(image) + image.suffix: image for image in images}
    captions: dict[str, str] = {}
    used: set[str] = set()
    for row in _rows(text):
        columns = {key: str(root / value) for key, value in row.items() if isinstance(value, str)}
        named = {key: by_path[path] for key, path in columns.items() if path in by_path}
        labels = {image.label for image in named.values()}
        caption = _row_caption(row)
        captions.update(dict.fromkeys(labels, caption))
        if len(named) == len(labels) == 2 and not labels & used and (sides := _row_sides(named)):
            used |= labels
            arrangement.pairs.append(Pair(f"{len(used) // 2:02}", *sides, caption=caption))
    arrangement.unpaired = [label for label in arrangement.unpaired if label not in used]
    return captions


def _row_caption(row: dict[str, object]) -> str:
    texts = (row.get(key) for key in CAPTION_KEYS)
    return next((text.strip() for text in texts if isinstance(text, str)), "")


def _rows(text: str) -> Iterator[dict[str, object]]:
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            yield row


def _row_sides(named: dict[str, Member]) -> tuple[Member, Member] | None:
    """The input image and the target image of a row, by their folders, else by their columns."""
    (one_key, one), (other_key, other) = named.items()
    folders = _sides(one.folder, other.folder)
    if folders:
        return (one, other) if one.folder == folders[0] else (other, one)
    columns = _sides(one_key, other_key)
    if columns:
        return (one, other) if one_key == columns[0] else (other, one)
    return None


def _natural_order(text: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", text)]
