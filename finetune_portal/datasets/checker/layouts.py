"""Find the pairs among the files of a ZIP, in the provider's layout and in those of other trainers.

Segmind (docs/provider-api.md, 8.1), fal and Replicate: `01_start.png`, `01_end.png`, `01.txt`; fal's newer
trainers also `01_start2.png`, `01_start3.png` and so on (docs/provider-fal.md, 9.2).
ai-toolkit: the same names in a folder of control images and a folder of target images.
Hugging Face: such folders or any names, and a table with the paths and the prompts.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from finetune_portal.datasets.checker import accepted, captions, tables, words, zip_names
from finetune_portal.datasets.checker.captions import path_without_suffix
from finetune_portal.datasets.checker.groups import Group, Layout
from finetune_portal.datasets.checker.tables import Table
from finetune_portal.datasets.checker.zip_members import Member

PROVIDER_LAYOUTS = ("flat", "folder", "folders")
ReadText = Callable[[Member], str]


@dataclass(frozen=True)
class Pair:
    """The input image (`start`), the target image (`end`), and the caption as a file or as text.

    `further` are the input images from `_start2` on.
    """

    index: str
    start: Member
    end: Member
    caption_file: Member | None = None
    caption: str = ""
    further: tuple[Member, ...] = ()

    @property
    def images(self) -> tuple[Member, ...]:
        return (self.start, self.end, *self.further)


@dataclass
class Arrangement:
    """The pairs, and every file that is in none of them by what it is.

    `layout` is flat, folder, folders (the provider's names), names, two folders, guess, metadata or unknown.
    """

    layout: str = "unknown"
    is_guess: bool = False
    pairs: list[Pair] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    table: Table | None = None
    lists: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @property
    def is_providers(self) -> bool:
        return self.layout in PROVIDER_LAYOUTS


def junk_part(label: str) -> str:
    """The part of a path that a system or file manager added, such as __MACOSX; else empty."""
    parts = zip_names.path_parts(label)
    if parts[-1].lower() in accepted.JUNK_FILES:
        return parts[-1]
    junk = (part for part in parts if part.startswith(".") or part.lower() in accepted.JUNK_FOLDERS)
    return next(junk, "")


def is_image(member: Member) -> bool:
    return member.suffix.lower() in accepted.IMAGE_ENDINGS


def arrange(files: list[Member], read_text: ReadText) -> Arrangement:
    """Find the pairs among `files`, the members of the ZIP without junk."""
    images = [file for file in files if is_image(file)]
    table_file = tables.first_table(files)
    table = tables.read_table(table_file, read_text(table_file), images) if table_file else None
    layout = _best_layout(images, table, files)
    arrangement = Arrangement(layout.name, layout.is_guess, table=table)
    groups = [group for _, group in sorted(layout.groups.items(), key=lambda item: _natural_order(item[0]))]
    keys = {id(group): key for key, group in layout.groups.items()}
    _add_pairs(groups, keys, captions.Captions(files, table), arrangement)
    lists = arrangement.lists
    lists["duplicate"] = layout.duplicates
    lists["unclear folders"] = [] if arrangement.pairs else layout.unclear
    lists["several inputs"] = layout.several or [
        image.label for group in groups if group.several for image in (group.halves["start"], *group.several)
    ]
    arrangement.folders = _folders(layout, arrangement)
    _list_unused(files, groups, arrangement)
    return arrangement


def _folders(layout: Layout, arrangement: Arrangement) -> list[str]:
    if layout.name == "two folders":
        halves = [half.folder or "." for pair in arrangement.pairs for half in (pair.start, pair.end)]
        return list(dict.fromkeys(halves))
    images = (image for group in layout.groups.values() for image in group.halves.values())
    return sorted({image.folder for image in images} - {""})


def _best_layout(images: list[Member], table: Table | None, files: list[Member]) -> Layout:
    """The first layout with a whole pair, else the first with any image."""
    guesses = ({start: "start", end: "end"} for start, end in accepted.GUESSES)
    detectors: list[Callable[[], Layout]] = [
        lambda: _by_suffix(images, words.PROVIDER_SUFFIX, words.HALF_OF, "flat"),
        lambda: _by_table(table),
        lambda: _by_suffix(images, words.WORD_SUFFIX, words.HALF_OF, "names"),
        lambda: _by_suffix(images, words.WORD_SUFFIX, words.HALF_OF, "names", across=True),
        lambda: _by_folders(images, files),
        *(lambda each=each: _by_guess(images, each) for each in guesses),
        lambda: _by_two_endings(images),
    ]
    best = Layout()
    for detect in detectors:
        layout = detect()
        if layout.has_pair:
            return layout
        if not best.groups and not best.unclear and not best.several and layout.name != "guess":
            best = layout
    return best


def _by_suffix(
    images: list[Member], pattern: re.Pattern[str], halves: dict[str, str], name: str, *, across: bool = False
) -> Layout:
    """By words at the end of the name; in a folder of its own, the word alone. `across` ignores folders."""
    layout = Layout(name)
    for image in images:
        match = pattern.fullmatch(image.stem)
        word = match["word"].lower() if match else ""
        index = match["index"] if match else ""
        number = match["number"] if match else ""
        if number and word.rstrip("s") not in accepted.NUMBERED:
            continue
        if index:
            key = index if across else zip_names.join_path(image.folder, index)
        elif word and image.folder:
            key, index = image.folder, image.folder.rpartition("/")[2]
        else:
            continue
        if name == "flat" and number:
            layout.put_further(key, index, int(number), image)
        else:
            layout.put(key, index, halves[word], number, image)
    if name == "flat":
        folders = {key.rpartition("/")[0] for key in layout.groups}
        layout.name = "flat" if folders <= {""} else "folder" if len(folders) == 1 else "folders"
    return layout


def _by_guess(images: list[Member], halves: dict[str, str]) -> Layout:
    layout = _by_suffix(images, words.suffix_pattern(halves), halves, "guess")
    layout.is_guess = True
    return layout


def _by_two_endings(images: list[Member]) -> Layout:
    """By any two last words that most of the names share, such as `01_1` and `01_2`."""
    layout = Layout("guess", is_guess=True)
    names = []
    for image in images:
        if match := words.LAST_WORD.fullmatch(image.stem):
            key = zip_names.join_path(image.folder, match["index"])
            names.append((image, key, match["index"], match["word"].casefold()))
    endings = words.two_endings((key.casefold(), word) for _, key, _, word in names)
    for image, key, index, word in names:
        if endings and word in endings:
            layout.put(key, index, "start" if word == endings[0] else "end", "", image)
    return layout


def _by_table(table: Table | None) -> Layout:
    layout = Layout("metadata", is_guess=bool(table and table.is_guess))
    for number, (start, end) in enumerate(table.pairs if table else (), 1):
        layout.groups[f"{number:06}"] = Group(f"{number:02}", {"start": start, "end": end})
    if table and table.several:
        layout.several = table.several
    return layout


def _by_folders(images: list[Member], files: list[Member]) -> Layout:
    """By two folders beside each other, or one in the other, with the same names."""
    layout = Layout("two folders")
    by_folder: dict[str, list[Member]] = defaultdict(list)
    for image in images:
        by_folder[image.folder].append(image)
    for parent in dict.fromkeys(folder.rpartition("/")[0] for folder in by_folder if folder):
        siblings = [each for each in by_folder if each and each.rpartition("/")[0] == parent]
        stems = {each: {image.stem.casefold() for image in by_folder[each]} for each in siblings}
        if parent in by_folder:
            own = {image.stem.casefold() for image in by_folder[parent]}
            if any(own & each for each in stems.values()):
                siblings.append(parent)
                stems[parent] = own
        sides = _sides(siblings, stems, files, layout)
        for half, folder in sides.items():
            for image in by_folder[folder]:
                layout.put(zip_names.join_path(parent, image.stem), image.stem, half, "", image)
    return layout


def _sides(
    siblings: list[str], stems: dict[str, set[str]], files: list[Member], layout: Layout
) -> dict[str, str]:
    """The folder of each half: by words in the names, by the other one, or by where the captions lie."""
    halves = {folder: words.half_of_words(folder.rpartition("/")[2]) for folder in siblings}
    starts, ends = ([each for each in siblings if halves[each] == half] for half in ("start", "end"))
    others = [each for each in siblings if not halves[each]]
    known = starts or ends
    if not (starts and ends) and len(known) == 1:
        paired = [each for each in others if stems[each] & stems[known[0]]]
        if ends or len(paired) == 1:
            (ends if starts else starts).extend(paired)
    elif not known and len(others) == 2 and stems[others[0]] & stems[others[1]]:
        ends = captions.captioned_folders(others, stems, files)
        if len(ends) != 1:
            layout.unclear.extend(each or "." for each in others)
            return {}
        starts = [each for each in others if each not in ends]
        layout.is_guess = True  # captions lie beside the target image
    if len(ends) == 1 and len(starts) > 1 and all(stems[each] & stems[ends[0]] for each in starts):
        layout.several.extend(starts)
        return {}
    return {"start": starts[0], "end": ends[0]} if len(starts) == len(ends) == 1 else {}


def _add_pairs(
    groups: list[Group], keys: dict[int, str], texts: captions.Captions, arrangement: Arrangement
) -> None:
    names = Counter(group.index for group in groups)
    lists = arrangement.lists
    # Said in this order.
    lists |= {key: [] for key in ("missing start", "missing end", "gap", "many inputs", "caption place")}
    for group in groups:
        key = keys[id(group)]
        halves = group.halves
        index = group.index if names[group.index] == 1 else _unique_index(group)
        if len(halves) < 2:
            lists["missing end" if "start" in halves else "missing start"].append(index)
            continue
        start, end = halves["start"], halves["end"]
        caption_file = texts.file_of(key, start, end, keys.values())
        caption = texts.caption_in_table(start, end) if caption_file is None else ""
        further = tuple(group.further[number] for number in sorted(group.further))
        pair = Pair(index, start, end, caption_file, caption, further)
        arrangement.pairs.append(pair)
        if group.has_gap:
            lists["gap"].append(index)
        if 1 + len(further) > accepted.MOST_INPUTS:
            lists["many inputs"].append(index)
        if arrangement.is_providers:
            _list_names(pair, key, lists)
    images = (image for pair in arrangement.pairs for image in pair.images)
    lists["code page"] = [image.label for image in images if captions.is_in_code_page(image)]
    lists["second caption"] = texts.second(
        pair.caption_file for pair in arrangement.pairs if pair.caption_file
    )
    if arrangement.table and any(pair.caption for pair in arrangement.pairs):
        if arrangement.is_providers:
            lists["caption table"] = [arrangement.table.file.label]
        else:
            arrangement.layout = "metadata"


def _list_names(pair: Pair, key: str, lists: dict[str, list[str]]) -> None:
    """List the files of a pair in the provider's layout that other programs may not put together."""
    if pair.caption_file and (fault := captions.name_fault(pair.caption_file, pair.start, key)):
        lists[fault].append(pair.caption_file.label)
    if len({_spelling(image) for image in pair.images}) > 1:
        lists["spelling"].extend(image.label for image in pair.images)


def _unique_index(group: Group) -> str:
    image = group.images[0]
    return zip_names.join_path(image.folder, group.index)


def _spelling(image: Member) -> bytes:
    """The bytes of the name before `_start` or `_end`, which all images must share for other programs."""
    return image.raw.rpartition(b"_")[0]


def _list_unused(files: list[Member], groups: list[Group], arrangement: Arrangement) -> None:
    used = {pair.caption_file.name for pair in arrangement.pairs if pair.caption_file}
    used |= {image.name for group in groups for image in group.images}
    lists = arrangement.lists
    several = set(lists["several inputs"])
    listed = {*lists["second caption"], *several}
    is_listed_whole = not arrangement.pairs and bool(several or lists["unclear folders"])
    is_table_used = arrangement.layout == "metadata" or any(pair.caption for pair in arrangement.pairs)
    if arrangement.table and is_table_used:
        used.add(arrangement.table.file.name)
        lists["missing in table"] = list(dict.fromkeys(arrangement.table.missing))
    duplicates = set(lists["duplicate"])
    for file in files:
        path = path_without_suffix(file)
        if file.name in used or file.label in listed or path in duplicates:
            continue
        if is_listed_whole and is_image(file):
            continue
        is_caption = captions.is_caption(file) and not captions.is_note(file)
        kind = "unpaired" if is_image(file) else "unused captions" if is_caption else "unused"
        lists[kind].append(file.label)


def _natural_order(text: str) -> list[tuple[int, str]]:
    return list(_natural_parts(text))


def _natural_parts(text: str) -> Iterator[tuple[int, str]]:
    for part in re.split(r"(\d+)", text):
        yield (int(part), "") if part.isdecimal() and len(part) < 4_000 else (0, part)
