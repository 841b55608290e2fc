"""Everything the check of a ZIP can find in its content, in the words it is told with."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Literal

from finetune_portal.datasets.checker.messages import some

Level = Literal["problem", "warning"]


@dataclass(frozen=True)
class Kind:
    """`one` and `many` take the names and a detail; `cure` is the code of a repair, if there is one."""

    level: Level
    one: str
    many: str = ""
    cure: str = ""


REPAIRS = {
    "folder": "Take the pictures out of their folder.",
    "dirt": "Leave out what the zipper added (__MACOSX, .DS_Store and the like).",
    "names": "Give each picture the ending of its true type.",
    "webp": "Turn WebP pictures into PNG, without loss.",
    "captions": "Save the captions as plain UTF-8, named like 01.txt.",
    "layout": "Rename the pictures to 01_start and 01_end, side by side.",
}
KINDS = {
    "empty": Kind("problem", "The ZIP is empty. Put the pairs into it and drop it again."),
    "no pictures": Kind(
        "problem", "There are no pictures in the ZIP. It needs pairs such as 01_start.png and 01_end.png."
    ),
    "no pairs": Kind(
        "problem", "No picture is named as a pair. Name them 01_start.png (before) and 01_end.png (after)."
    ),
    "lacks start": Kind(
        "problem",
        "{} has no _start picture. Each pair needs both halves.",
        "{} have no _start picture. Each pair needs both halves.",
    ),
    "lacks end": Kind(
        "problem",
        "{} has no _end picture. Each pair needs both halves.",
        "{} have no _end picture. Each pair needs both halves.",
    ),
    "double": Kind("problem", "There are two pictures called {}. Keep one of them."),
    "other type": Kind(
        "problem",
        "{} is really {detail}. Save it as PNG or JPEG.",
        "{} are really {detail}. Save them as PNG or JPEG.",
    ),
    "broken": Kind(
        "problem",
        "{} is damaged and cannot be opened. Save it again.",
        "{} are damaged and cannot be opened. Save them again.",
    ),
    "pixels": Kind(
        "problem",
        "{} has more than 50 million pixels. Make it smaller.",
        "{} have more than 50 million pixels. Make them smaller.",
    ),
    "bytes": Kind(
        "problem",
        "{} is larger than 100 MB. Make it smaller.",
        "{} are larger than 100 MB. Make them smaller.",
    ),
    "memory": Kind(
        "problem",
        "{} needs too much memory to open. Make it smaller.",
        "{} need too much memory to open. Make them smaller.",
    ),
    "archive": Kind(
        "problem",
        "{} is really {detail}. Pack the pictures themselves.",
        "{} are really {detail}. Pack the pictures themselves.",
    ),
    "not text": Kind(
        "problem",
        "{} is not plain UTF-8 text. Save it as UTF-8 and pack again.",
        "{} are not plain UTF-8 text. Save them as UTF-8 and pack again.",
    ),
    "long file": Kind(
        "problem",
        "{} is too long for a caption. Keep it under 64 KB.",
        "{} are too long for captions. Keep each under 64 KB.",
    ),
    "utf-16": Kind(
        "problem",
        "{} is saved as “Unicode” (UTF-16); the trainer reads UTF-8.",
        "{} are saved as “Unicode” (UTF-16); the trainer reads UTF-8.",
        cure="captions",
    ),
    "two folders": Kind(
        "problem",
        "The pairs lie in two folders with the same names ({}), as other trainers want them. "
        "Here both halves lie side by side: 01_start.png and 01_end.png.",
        cure="layout",
    ),
    "no sides": Kind(
        "problem",
        "The folders {} hold the same names, but which one is before? Name the folders "
        "control and target, or the pictures 01_start.png and 01_end.png.",
    ),
    "metadata": Kind(
        "problem",
        "The pairs are told by a table ({}), as other trainers want them. "
        "Here both halves lie side by side: 01_start.png, 01_end.png and 01.txt.",
        cure="layout",
    ),
    "webp": Kind(
        "warning",
        "{} is really WebP. Training may refuse it.",
        "{} are really WebP. Training may refuse them.",
        cure="webp",
    ),
    "name": Kind(
        "warning",
        "{} is really {detail}. Training may stumble over the name.",
        "{} are really {detail}. Training may stumble over the names.",
        cure="names",
    ),
    "caption name": Kind(
        "warning",
        "{} may go unread: a caption is named like its pair, 01.txt.",
        cure="captions",
    ),
    "byte order mark": Kind(
        "warning",
        "{} begins with an invisible mark (BOM), which training may take for text.",
        "{} begin with an invisible mark (BOM), which training may take for text.",
        cure="captions",
    ),
    "folder": Kind(
        "warning",
        "The pictures lie in a folder inside the ZIP ({}), where training may not find them.",
        "The pictures lie in folders inside the ZIP ({}), where training may not find them.",
        cure="folder",
    ),
    "dirt": Kind(
        "warning",
        "{} was left by the system that packed the ZIP. It is ignored here; training may stumble over it.",
        "{} were left by the system that packed the ZIP. They are ignored here; "
        "training may stumble over them.",
        cure="dirt",
    ),
    "tiny": Kind(
        "warning",
        "{} is smaller than 256 pixels. Larger pictures train better.",
        "{} are smaller than 256 pixels. Larger pictures train better.",
    ),
    "animated": Kind(
        "warning",
        "{} moves; only its first frame is used.",
        "{} move; only their first frames are used.",
    ),
    "print colours": Kind(
        "warning",
        "{} has print colours (CMYK), which may shift. Save it as RGB.",
        "{} have print colours (CMYK), which may shift. Save them as RGB.",
    ),
    "16 bit": Kind(
        "warning",
        "{} has 16 bits a pixel and may turn white. Save it with 8.",
        "{} have 16 bits a pixel and may turn white. Save them with 8.",
    ),
    "see-through": Kind(
        "warning",
        "{} is see-through in places, which training ignores. Give it a background.",
        "{} are see-through in places, which training ignores. Give them a background.",
    ),
    "turned": Kind(
        "warning",
        "{} is turned by a note in the file (EXIF), which training may ignore. Save it upright.",
        "{} are turned by a note in the file (EXIF), which training may ignore. Save them upright.",
    ),
    "shapes": Kind(
        "warning",
        "The halves of {} differ in shape. Crop both to the same shape.",
    ),
    "same": Kind("warning", "Before and after are the same picture in {}."),
    "empty caption": Kind(
        "warning",
        "{} is empty; the instruction prompt is used instead.",
        "{} are empty; the instruction prompt is used instead.",
    ),
    "long caption": Kind(
        "warning",
        "{} is longer than 2,000 characters; training may cut it.",
        "{} are longer than 2,000 characters; training may cut them.",
    ),
    "no captions": Kind(
        "warning", "No pair has a caption, so the instruction prompt alone must say what the edit does."
    ),
    "some captions": Kind(
        "warning",
        "{} has no caption, while others do; the instruction prompt is used instead.",
        "{} have no caption, while others do; the instruction prompt is used instead.",
    ),
    "much text": Kind("problem", "The captions hold more than 4 MB of text. Shorten them."),
    "few": Kind("warning", "Only {detail}. The vendor’s own examples have 5 or more."),
    "large": Kind(
        "warning",
        "The ZIP is {detail} MB. The vendor names 100 MB as the limit for other trainings; less is safer.",
    ),
    "strangers": Kind("warning", "{} will be ignored: not named _start or _end."),
    "spare captions": Kind(
        "warning",
        "{} belongs to no pair and will be ignored. A caption is named like its pair, 01.txt.",
        "{} belong to no pair and will be ignored. A caption is named like its pair, 01.txt.",
    ),
}


@dataclass
class Findings:
    """What was found, gathered by kind so that a thousand pictures make one sentence."""

    names: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, kind: str, *names: str, detail: str = "") -> None:
        if names:
            self.names[kind, detail].extend(names)

    def sentences(self, level: Level) -> list[str]:
        return [
            (kind.many if len(names) > 1 and kind.many else kind.one).format(some(names), detail=detail)
            for (key, detail), names in self.names.items()
            if (kind := KINDS[key]).level == level
        ]

    def incurable(self) -> list[str]:
        """The problems that no repair can solve."""
        hopeless = {key: names for key, names in self.names.items() if not KINDS[key[0]].cure}
        return Findings(hopeless).sentences("problem")

    def repairs(self) -> list[dict[str, str]]:
        """The harmless repairs that together leave nothing in the way; none if something would remain."""
        if self.incurable():
            return []
        codes = {KINDS[key].cure for key, _ in self.names}
        return [{"code": code, "sentence": text} for code, text in REPAIRS.items() if code in codes]
