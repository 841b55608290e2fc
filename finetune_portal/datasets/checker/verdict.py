"""The verdict on a ZIP: what it is made of, which the portal reads without decoding any picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Pair:
    """Member names of the input image (`start`) and the target image (`end`), and the caption.

    `further` are the names and sizes of the input images from `_start2` on.
    """

    index: str
    start: str
    end: str
    caption: str
    start_size: tuple[int, int]
    end_size: tuple[int, int]
    further: tuple[tuple[str, tuple[int, int]], ...] = ()

    @property
    def images(self) -> list[str]:
        return [self.start, self.end, *(name for name, _ in self.further)]

    def as_json(self) -> dict[str, Any]:
        """The fields, with `start2`, `start2_size` and so on for the further input images."""
        fields = {name: value for name, value in vars(self).items() if name != "further"}
        for number, (name, size) in enumerate(self.further, 2):
            fields |= {f"start{number}": name, f"start{number}_size": list(size)}
        return {**fields, "start_size": list(self.start_size), "end_size": list(self.end_size)}


@dataclass
class Verdict:
    """`problems` stop a training, `warnings` do not; both are sentences for people.

    `repairs` are what `repair` can do about them, each with a `code` and a `sentence`. `questions`, in the
    same form, are guesses that a person confirms by making the repaired copy. Those about names and captions
    in an old code page have `choices` where others read them, too (code_pages.choices). `placeholders` are
    those of the captions, such as “[trigger]”, for each of which `repair` can put a word.
    """

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    facts: dict[str, int] = field(default_factory=dict)
    layout: str = "unknown"
    repairs: list[dict[str, str]] = field(default_factory=list)
    questions: list[dict[str, Any]] = field(default_factory=list)
    placeholders: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "pairs": [pair.as_json() for pair in self.pairs]}


def rejected(sentence: str, size: int = 0) -> Verdict:
    """The verdict on a file that could not be inspected."""
    facts = {"files": 0, "pairs": 0, "captions": 0, "bytes": size, "unpacked": 0}
    return Verdict(problems=[sentence], facts=facts)
