"""The types of findings about the content of a ZIP, and their messages."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Literal

from finetune_portal.datasets.checker.messages import name_list

Level = Literal["problem", "warning"]


@dataclass(frozen=True)
class FindingType:
    """`one` and `many` are formatted with names and a detail; `repair` is the code of a repair, if any."""

    level: Level
    one: str
    many: str = ""
    repair: str = ""


REPAIRS = {
    "folder": "Move the pictures out of their folder.",
    "junk": "Leave out files of the operating system (__MACOSX, .DS_Store and the like).",
    "names": "Give each picture a plain name in UTF-8 with the suffix of its true type.",
    "webp": "Convert WebP pictures to PNG, without loss.",
    "convert": "Convert pictures of other types to PNG, without loss.",
    "pixels": "Save pictures upright, in sRGB, with 8 bits and on white, as PNG without further loss.",
    "captions": "Save the captions as plain UTF-8, named like 01.txt.",
    "layout": "Rename the pictures to 01_start and 01_end, in one folder.",
    "placeholder": "Put a word of yours in the place of a placeholder in the captions.",
}
QUESTIONS = {
    "halves": "Is {} before and {} after, and so on?",
    "names": "Are the names right, read as {detail}: {}? If not, rename the files in plain letters first.",
    "encoding": "Is {} right, read as {detail}: {}? If not, save the captions as UTF-8 first.",
}
FINDING_TYPES = {
    "empty": FindingType("problem", "The ZIP is empty. Put the pairs into it and drop it again."),
    "no pictures": FindingType(
        "problem", "There are no pictures in the ZIP. It needs pairs such as 01_start.png and 01_end.png."
    ),
    "no pairs": FindingType(
        "problem",
        "No picture is named as a pair: {}. Name them 01_start.png (before) and 01_end.png (after).",
    ),
    "several inputs": FindingType(
        "problem",
        "There are several input images for a pair, but not named 01_start, 01_start2 and so on: {}. "
        "Rename them so, or keep one, such as {detail}, and leave out the others.",
    ),
    "missing start": FindingType(
        "problem",
        "{} has no _start picture. Each pair needs both halves.",
        "{} have no _start picture. Each pair needs both halves.",
    ),
    "missing end": FindingType(
        "problem",
        "{} has no _end picture. Each pair needs both halves.",
        "{} have no _end picture. Each pair needs both halves.",
    ),
    "gap": FindingType(
        "problem",
        "A number is missing among the input images of {}. Name them _start, _start2, _start3 and so on.",
    ),
    "many inputs": FindingType(
        "problem",
        "{} has more than 10 input images, which no trainer takes.",
        "{} have more than 10 input images, which no trainer takes.",
    ),
    "duplicate": FindingType("problem", "There are two pictures called {}. Keep one of them."),
    "other type": FindingType(
        "problem",
        "{} is really {detail}. Save it as PNG or JPEG.",
        "{} are really {detail}. Save them as PNG or JPEG.",
    ),
    "broken": FindingType(
        "problem",
        "{} is damaged and cannot be opened. Save it again.",
        "{} are damaged and cannot be opened. Save them again.",
    ),
    "pixels": FindingType(
        "problem",
        "{} has more than 50 million pixels. Make it smaller.",
        "{} have more than 50 million pixels. Make them smaller.",
    ),
    "bytes": FindingType(
        "problem",
        "{} is larger than 100 MB. Make it smaller.",
        "{} are larger than 100 MB. Make them smaller.",
    ),
    "memory": FindingType(
        "problem",
        "{} needs too much memory to open. Make it smaller.",
        "{} need too much memory to open. Make them smaller.",
    ),
    "archive": FindingType(
        "problem",
        "{} is really {detail}. Pack the pictures themselves.",
        "{} are really {detail}. Pack the pictures themselves.",
    ),
    "not text": FindingType(
        "problem",
        "{} is no text that can be read. Save it as plain UTF-8 and pack again.",
        "{} are no text that can be read. Save them as plain UTF-8 and pack again.",
    ),
    "encoding": FindingType(
        "problem",
        "{} is not UTF-8, which training needs; it reads like {detail}.",
        "{} are not UTF-8, which training needs; they read like {detail}.",
        repair="captions",
    ),
    "converted": FindingType(
        "problem",
        "{} is {detail}; training takes PNG and JPEG.",
        "{} are {detail}; training takes PNG and JPEG.",
        repair="convert",
    ),
    "names": FindingType(
        "problem",
        "The pairs are named in another way, such as {}. Training needs 01_start.png and 01_end.png.",
        "The pairs are named in another way, such as {}. Training needs 01_start.png and 01_end.png.",
        repair="layout",
    ),
    "guess": FindingType(
        "problem",
        "No picture ends in _start or _end, but {} look like a pair.",
        "No picture ends in _start or _end, but {} look like a pair.",
        repair="layout",
    ),
    "long file": FindingType(
        "problem",
        "{} is too long for a caption. Keep it under 64 KB.",
        "{} are too long for captions. Keep each under 64 KB.",
    ),
    "utf-16": FindingType(
        "problem",
        "{} is saved as “Unicode” (UTF-16); training needs UTF-8.",
        "{} are saved as “Unicode” (UTF-16); training needs UTF-8.",
        repair="captions",
    ),
    "two folders": FindingType(
        "problem",
        "The pairs are in two folders with the same names ({}), as other trainers expect. "
        "Here both halves belong in one folder: 01_start.png and 01_end.png.",
        repair="layout",
    ),
    "unclear folders": FindingType(
        "problem",
        "The folders {} hold the same names, but which one is “before”? Name the folders "
        "control and target, or the pictures 01_start.png and 01_end.png.",
    ),
    "metadata": FindingType(
        "problem",
        "The pairs are listed in a table ({}), as other trainers expect. "
        "Here each pair is three files: 01_start.png, 01_end.png and 01.txt.",
        repair="layout",
    ),
    "webp": FindingType(
        "warning",
        "{} is really WebP. Training may reject it.",
        "{} are really WebP. Training may reject them.",
        repair="webp",
    ),
    "profile": FindingType(
        "warning",
        "{} has the colours of another profile ({detail}), which training may read as sRGB.",
        "{} have the colours of another profile ({detail}), which training may read as sRGB.",
        repair="pixels",
    ),
    "profiles differ": FindingType(
        "warning",
        "The halves of {} are in different colour spaces, so training may learn the difference.",
        repair="pixels",
    ),
    "spelling": FindingType(
        "warning",
        "{} are spelled in two ways that look alike; training may not take them for a pair.",
        "{} are spelled in two ways that look alike; training may not take them for pairs.",
        repair="names",
    ),
    "code page": FindingType(
        "warning",
        "{} is named in an old code page, so training may show another name.",
        "{} are named in an old code page, so training may show other names.",
        repair="names",
    ),
    "ending": FindingType(
        "warning",
        "{} has an unusual ending, which training may not know. The usual one is {detail}.",
        "{} have unusual endings, which training may not know. The usual one is {detail}.",
        repair="names",
    ),
    "name": FindingType(
        "warning",
        "{} is really {detail}. Training may fail on the wrong suffix.",
        "{} are really {detail}. Training may fail on the wrong suffixes.",
        repair="names",
    ),
    "caption place": FindingType(
        "problem",
        "{} is not named like its pair, such as 01.txt, so training does not read it.",
        "{} are not named like their pairs, such as 01.txt, so training does not read them.",
        repair="captions",
    ),
    "caption name": FindingType(
        "warning",
        "{} may be ignored in training. Name a caption like its pair: 01.txt.",
        repair="captions",
    ),
    "caption ending": FindingType(
        "problem",
        "{} holds a caption, but training reads .txt only.",
        "{} hold captions, but training reads .txt only.",
        repair="captions",
    ),
    "caption table": FindingType(
        "problem",
        "Captions are in {}, but training reads one .txt file for each pair.",
        repair="captions",
    ),
    "second caption": FindingType(
        "warning",
        "{} is left out: its pair has another caption.",
        "{} are left out: their pairs have other captions.",
    ),
    "placeholder": FindingType(
        "warning",
        "{} has the placeholder {detail}, which is trained as it stands. Put a word in its place.",
        "{} have the placeholder {detail}, which is trained as it stands. Put a word in its place.",
        repair="placeholder",
    ),
    "missing in table": FindingType(
        "warning",
        "The table names {}, which is not in the ZIP.",
        "The table names {}, which are not in the ZIP.",
    ),
    "equal pairs": FindingType("warning", "{} are the same pair. Keep one of them."),
    "byte order mark": FindingType(
        "warning",
        "{} begins with a byte order mark (BOM), which training may read as text.",
        "{} begin with a byte order mark (BOM), which training may read as text.",
        repair="captions",
    ),
    "folder": FindingType(
        "warning",
        "The pictures are in a folder inside the ZIP ({}), where training may not find them.",
        "The pictures are in folders inside the ZIP ({}), where training may not find them.",
        repair="folder",
    ),
    "junk": FindingType(
        "warning",
        "{} comes from the system that packed the ZIP. It is ignored here, but training may fail on it.",
        "{} come from the system that packed the ZIP. They are ignored here, but training may fail on them.",
        repair="junk",
    ),
    "tiny": FindingType(
        "warning",
        "{} is smaller than 256 pixels. Larger pictures train better.",
        "{} are smaller than 256 pixels. Larger pictures train better.",
    ),
    "animated": FindingType(
        "warning",
        "{} is animated; only its first frame is used.",
        "{} are animated; only their first frames are used.",
        repair="pixels",
    ),
    "cmyk": FindingType(
        "warning",
        "{} has print colours (CMYK), which training may change.",
        "{} have print colours (CMYK), which training may change.",
        repair="pixels",
    ),
    "16 bit": FindingType(
        "warning",
        "{} has more than 8 bits per channel and may turn white in training.",
        "{} have more than 8 bits per channel and may turn white in training.",
        repair="pixels",
    ),
    "transparent": FindingType(
        "warning",
        "{} is partly transparent, which training may ignore.",
        "{} are partly transparent, which training may ignore.",
        repair="pixels",
    ),
    "rotated": FindingType(
        "warning",
        "{} is rotated by its EXIF data, which training may ignore.",
        "{} are rotated by their EXIF data, which training may ignore.",
        repair="pixels",
    ),
    "shapes": FindingType(
        "warning",
        "The halves of {} differ in shape. Crop both to the same shape.",
    ),
    "same": FindingType("warning", "Before and after are the same picture in {}."),
    "empty caption": FindingType(
        "warning",
        "{} is empty; the prompt is used instead.",
        "{} are empty; the prompt is used instead.",
    ),
    "long caption": FindingType(
        "warning",
        "{} is longer than 2,000 characters; training may cut it.",
        "{} are longer than 2,000 characters; training may cut them.",
    ),
    "no captions": FindingType(
        "warning", "No pair has a caption, so the prompt alone must describe the edit."
    ),
    "some captions": FindingType(
        "warning",
        "{} has no caption, unlike the others; the prompt is used instead.",
        "{} have no caption, unlike the others; the prompt is used instead.",
    ),
    "much text": FindingType("problem", "The captions hold more than 4 MB of text. Shorten them."),
    "further inputs": FindingType(
        "warning", "The pairs have up to {detail} input images, which not every trainer takes."
    ),
    "few": FindingType("warning", "Only {detail}. The provider’s own examples have 5 or more."),
    "large": FindingType(
        "warning",
        "The ZIP is {detail} MB. The provider’s limit for other trainings is 100 MB; less is safer.",
    ),
    "unpaired": FindingType(
        "warning", "{} belongs to no pair and is left out.", "{} belong to no pair and are left out."
    ),
    "unused": FindingType(
        "warning",
        "{} is left out: neither a picture of a pair nor a caption.",
        "{} are left out: neither pictures of pairs nor captions.",
    ),
    "unused captions": FindingType(
        "warning",
        "{} belongs to no pair and is left out. Name a caption like its pair: 01.txt.",
        "{} belong to no pair and are left out. Name a caption like its pair: 01.txt.",
    ),
}


@dataclass
class Findings:
    """Findings grouped by type, so that a thousand pictures make one sentence."""

    names: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, key: str, *names: str, detail: str = "") -> None:
        """Add a finding of the type FINDING_TYPES[key] about each of `names`."""
        if names:
            self.names[key, detail].extend(names)

    def sentences(self, level: Level) -> list[str]:
        return [
            (type_.many if len(names) > 1 and type_.many else type_.one).format(
                name_list(names), detail=detail
            )
            for (key, detail), names in self.names.items()
            if (type_ := FINDING_TYPES[key]).level == level
        ]

    def unrepairable(self) -> list[str]:
        """The problems that no repair can solve."""
        names = {key: names for key, names in self.names.items() if not FINDING_TYPES[key[0]].repair}
        return Findings(names).sentences("problem")

    def repairs(self) -> list[dict[str, str]]:
        """The repairs that together make the ZIP trainable; none if a problem would remain."""
        if self.unrepairable():
            return []
        codes = {FINDING_TYPES[key].repair for key, _ in self.names}
        return [{"code": code, "sentence": text} for code, text in REPAIRS.items() if code in codes]
