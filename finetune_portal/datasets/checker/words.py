"""The words in names of files and folders that say which half of a pair a picture is."""

from __future__ import annotations

import re

from finetune_portal.datasets.checker import accepted

HALF_OF = {**dict.fromkeys(accepted.START, "start"), **dict.fromkeys(accepted.END, "end")}
FLAGS = re.IGNORECASE | re.DOTALL
PROVIDER_SUFFIX = re.compile(r"(?P<index>.+)_(?P<word>start|end)(?P<number>)", FLAGS)


def suffix_pattern(words: dict[str, str]) -> re.Pattern[str]:
    """`cat_before`, `cat-before`, `cat.before 2`, or `before` alone."""
    longest_first = "|".join(sorted(words, key=len, reverse=True))
    return re.compile(rf"(?:(?P<index>.*?)[ _.-]+)?(?P<word>{longest_first})[ _-]?(?P<number>\d*)", FLAGS)


WORD_SUFFIX = suffix_pattern(HALF_OF)


def half_of_words(name: str) -> str:
    """`start` or `end` if words in `name` mean one half, such as in “control_images”; else empty."""
    halves = {HALF_OF[word] for word in re.findall("[a-z]+", name.lower()) if word in HALF_OF}
    return halves.pop() if len(halves) == 1 else ""


def number_of(name: str) -> str:
    """The number in “control2”, or empty."""
    match = re.search(rf"(?:{'|'.join(accepted.NUMBERED)})s?[ _-]?(\d+)", name.lower())
    return match[1] if match else ""
