"""The words in names of files and folders that say which half of a pair a picture is."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

from finetune_portal.datasets.checker import accepted

HALF_OF = {**dict.fromkeys(accepted.START, "start"), **dict.fromkeys(accepted.END, "end")}
FLAGS = re.IGNORECASE | re.DOTALL
# `_start2` to `_start99` are further inputs; a longer number, such as a year, is a part of some other name.
PROVIDER_SUFFIX = re.compile(
    r"(?P<index>.+)_(?P<word>start|end)(?P<number>(?<=start)(?:[2-9]|[1-9][0-9])|)", FLAGS
)


def suffix_pattern(words: dict[str, str]) -> re.Pattern[str]:
    """`cat_before`, `cat-before`, `cat.before 2`, or `before` alone."""
    longest_first = "|".join(sorted(words, key=len, reverse=True))
    return re.compile(rf"(?:(?P<index>.*?)[ _.-]+)?(?P<word>{longest_first})[ _-]?(?P<number>\d*)", FLAGS)


WORD_SUFFIX = suffix_pattern(HALF_OF)
# The last word of a name, after a separator, or letters after a digit: `01_1`, `cat.left`, `01a`.
LAST_WORD = re.compile(
    r"(?P<index>.*[^ _.-])(?:[ _.-]+|(?<=[0-9])(?=[A-Za-z]))(?P<word>[^ _.-]{1,16})", re.DOTALL
)


def two_endings(names: Iterable[tuple[str, str]]) -> tuple[str, str] | None:
    """The two last words by which most names are pairs, that of the input image first, if there are such.

    `names` are (key, last word), and the words of a pair have the same key. One pair alone is no sign.
    """
    by_key: dict[str, set[str]] = defaultdict(set)
    for key, word in names:
        by_key[key].add(word)
    counts = Counter(tuple(sorted(each)) for each in by_key.values() if len(each) == 2)
    (words, count), *_ = counts.most_common(1) or [((), 0)]
    if count < 2 or count * 2 <= len(by_key):
        return None
    first, second = words
    is_turned = HALF_OF.get(first) == "end" or (HALF_OF.get(second) == "start" != HALF_OF.get(first))
    return (second, first) if is_turned else (first, second)


def half_of_words(name: str) -> str:
    """`start` or `end` if words in `name` mean one half, such as in “control_images”; else empty."""
    halves = {HALF_OF[word] for word in re.findall("[a-z]+", name.lower()) if word in HALF_OF}
    return halves.pop() if len(halves) == 1 else ""


def number_of(name: str) -> str:
    """The number in “control2”, or empty."""
    match = re.search(rf"(?:{'|'.join(accepted.NUMBERED)})s?[ _-]?(\d+)", name.lower())
    return match[1] if match else ""
