"""The verdict on what was read of a ZIP."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from finetune_portal.datasets.checker import accepted, code_pages, texts
from finetune_portal.datasets.checker.findings import QUESTIONS, Findings
from finetune_portal.datasets.checker.images import ImageInfo
from finetune_portal.datasets.checker.layouts import Arrangement
from finetune_portal.datasets.checker.layouts import Pair as ArrangedPair
from finetune_portal.datasets.checker.messages import quoted
from finetune_portal.datasets.checker.reading import Look
from finetune_portal.datasets.checker.zip_members import Member

MAX_CAPTIONS = 4_000_000


@dataclass(frozen=True)
class Pair:
    """Member names of the input image (`start`) and the target image (`end`), and the caption."""

    index: str
    start: str
    end: str
    caption: str
    start_size: tuple[int, int]
    end_size: tuple[int, int]


@dataclass
class Verdict:
    """`problems` stop a training, `warnings` do not; both are sentences for people.

    `repairs` are what `repair` can do about them, each with a `code` and a `sentence`. `questions`, in the
    same form, are guesses that a person confirms by making the repaired copy. `placeholders` are those of the
    captions, such as “[trigger]”, for each of which `repair` can put a word.
    """

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    facts: dict[str, int] = field(default_factory=dict)
    layout: str = "unknown"
    repairs: list[dict[str, str]] = field(default_factory=list)
    questions: list[dict[str, str]] = field(default_factory=list)
    placeholders: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        pairs = [
            {**vars(pair), "start_size": list(pair.start_size), "end_size": list(pair.end_size)}
            for pair in self.pairs
        ]
        return {**vars(self), "pairs": pairs}


@dataclass
class Content:
    """What was read: the arrangement of the pairs, a look at each member by its name, the findings."""

    arrangement: Arrangement
    looks: dict[str, Look] = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)
    captions: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)

    def image(self, name: str) -> ImageInfo | None:
        return look.image if (look := self.looks.get(name)) else None

    def caption(self, pair: ArrangedPair) -> str:
        return self.captions.get(pair.caption_file.name, "") if pair.caption_file else pair.caption


def evaluate(content: Content) -> Verdict:
    """The verdict on what was read. Fills `captions` and adds to the findings of `content`."""
    findings = content.findings
    _layout(content.arrangement, findings)
    questions = _questions(content.arrangement)
    _looks(content)
    questions += _captions(content)
    pairs = list(_pairs(content))
    _evaluate_pairs(pairs, content)
    facts = {"pairs": len(pairs), "captions": sum(1 for pair in pairs if pair.caption)}
    repairs = findings.repairs()
    return Verdict(
        problems=findings.sentences("problem"),
        warnings=findings.sentences("warning"),
        pairs=pairs if sum(len(pair.caption) for pair in pairs) <= MAX_CAPTIONS else [],
        facts=facts,
        layout=content.arrangement.layout,
        repairs=repairs,
        questions=questions if repairs else [],
        placeholders=texts.placeholders(pair.caption for pair in pairs) if repairs else [],
    )


def _layout(arrangement: Arrangement, findings: Findings) -> None:
    lists = dict(arrangement.lists)
    unpaired = lists.pop("unpaired", [])
    several = lists.pop("several inputs", [])
    findings.add("several inputs", *several, detail=quoted(several[0]) if several else "")
    for key, names in lists.items():
        findings.add(key, *names)
    has_groups = arrangement.pairs or lists.get("missing start") or lists.get("missing end")
    findings.add("unpaired" if has_groups else "no pairs", *unpaired)
    if not arrangement.pairs:
        return
    match arrangement.layout:
        case "folder" | "folders":
            findings.add("folder", *arrangement.folders)
        case "metadata":
            findings.add("metadata", arrangement.table.file.label if arrangement.table else "")
        case "two folders":
            findings.add("two folders", *arrangement.folders)
        case "names" | "guess":
            pair = arrangement.pairs[0]
            findings.add(arrangement.layout, pair.start.label, pair.end.label)


def _questions(arrangement: Arrangement) -> list[dict[str, str]]:
    """Which half is which, and how names in an old code page are read, where these are guesses."""
    questions = []
    halves = [half for pair in arrangement.pairs for half in (pair.start, pair.end)]
    if arrangement.is_guess and halves:
        sentence = QUESTIONS["halves"].format(*(quoted(half.label) for half in halves[:2]))
        questions.append({"code": "halves", "sentence": sentence})
    if guessed := next((half for half in halves if half.page), None):
        detail = code_pages.LABELS[guessed.page]
        sentence = QUESTIONS["names"].format(quoted(guessed.label), detail=detail)
        questions.append({"code": "names", "sentence": sentence})
    return questions


def _looks(content: Content) -> None:
    """The findings of images and captions, pair by pair, and of archives anywhere."""
    pairs = content.arrangement.pairs
    halves = (half.name for pair in pairs for half in (pair.start, pair.end))
    for name in dict.fromkeys((*halves, *content.looks)):
        for key, detail in content.looks[name].findings:
            content.findings.add(key, content.labels.get(name, name), detail=detail)


def _captions(content: Content) -> list[dict[str, str]]:
    """Decode the captions; one code page is guessed for all that are not Unicode."""
    files = [pair.caption_file for pair in content.arrangement.pairs if pair.caption_file]
    raws = {file.name: raw for file in files if (raw := content.looks[file.name].raw) is not None}
    encodings = {name: texts.encoding_of(raw) for name, raw in raws.items()}
    guess = texts.guess_encoding(raw for name, raw in raws.items() if not encodings[name])
    for file in files:
        if file.name not in raws:
            continue
        try:
            text = texts.decode(raws[file.name], encodings[file.name] or guess)
            if file.suffix.lower() == ".json":
                text = texts.caption_in_json(text)
        except texts.NotTextError:
            content.findings.add("not text", file.label)
            continue
        content.captions[file.name] = text
        _caption_findings(file.label, text, content.findings)
        _encoding_findings(file, encodings[file.name], guess, content.findings)
    return [
        {"code": "encoding", "sentence": _encoding_question(file.label, guess, content.captions[file.name])}
        for file in files
        if encodings.get(file.name) == "" and file.name in content.captions
    ][:1]


def _encoding_findings(file: Member, encoding: str, guess: str, findings: Findings) -> None:
    if encoding.startswith("utf-16"):
        findings.add("utf-16", file.label)
    elif encoding == "utf-8-sig":
        findings.add("byte order mark", file.label)
    elif not encoding:
        findings.add("encoding", file.label, detail=code_pages.LABELS[guess])
    if file.suffix.lower() in accepted.RENAMED_CAPTIONS:
        findings.add("caption ending", file.label)


def _encoding_question(label: str, guess: str, text: str) -> str:
    return QUESTIONS["encoding"].format(
        quoted(label), quoted(_around_odd(text)), detail=code_pages.LABELS[guess]
    )


def _around_odd(text: str) -> str:
    """The part of a text in which the letters outside ASCII are, about 70 characters long."""
    at = next((at for at, char in enumerate(text) if not char.isascii()), 0)
    first = max(0, at - 30)
    return ("…" if first else "") + " ".join(text[first : first + 70].split())


def _caption_findings(label: str, text: str, findings: Findings) -> None:
    if not text:
        findings.add("empty caption", label)
    if len(text) > accepted.LONG_CAPTION:
        findings.add("long caption", label)
    if match := texts.PLACEHOLDER.search(text):
        findings.add("placeholder", label, detail=match[0])


def _pairs(content: Content) -> Iterator[Pair]:
    """The pairs of which both images could be read."""
    for pair in content.arrangement.pairs:
        start, end = content.image(pair.start.name), content.image(pair.end.name)
        if start and end:
            caption = content.caption(pair)
            yield Pair(pair.index, pair.start.name, pair.end.name, caption, start.size, end.size)


def _evaluate_pairs(pairs: list[Pair], content: Content) -> None:
    findings, arranged = content.findings, content.arrangement.pairs
    _compare(content)
    findings.add("shapes", *(pair.index for pair in pairs if _differ(pair.start_size, pair.end_size)))
    for pair in arranged:
        if pair.caption and not pair.caption_file:
            _caption_findings(f"caption of {pair.index}", pair.caption, findings)
    without = [pair.index for pair in arranged if not (pair.caption_file or pair.caption)]
    if arranged and len(without) == len(arranged):
        findings.add("no captions", "")
    elif without:
        findings.add("some captions", *without)
    if sum(len(pair.caption) for pair in pairs) > MAX_CAPTIONS:
        findings.add("much text", "")
    if 0 < len(arranged) < accepted.FEW_PAIRS:
        findings.add("few", "", detail="1 pair" if len(arranged) == 1 else f"{len(arranged)} pairs")


def _compare(content: Content) -> None:
    """Halves that are equal or in different colour spaces, and pairs that are equal."""
    alike: dict[object, list[str]] = defaultdict(list)
    for pair in content.arrangement.pairs:
        keys = [(half.crc, half.size) for half in (pair.start, pair.end)]
        start, end = content.image(pair.start.name), content.image(pair.end.name)
        if start and end:
            same = start.pixels and (start.pixels, start.size) == (end.pixels, end.size)
            if keys[0] == keys[1] or same:
                content.findings.add("same", pair.index)
            if start.profile != end.profile:
                content.findings.add("profiles differ", pair.index)
        alike[(*keys, content.caption(pair))].append(pair.index)
    for indexes in alike.values():
        if len(indexes) > 1:
            content.findings.add("equal pairs", *indexes)


def _differ(one: tuple[int, int], other: tuple[int, int]) -> bool:
    if (0, 0) in (one, other):
        return False
    aspect, another = one[0] / one[1], other[0] / other[1]
    return abs(aspect - another) > accepted.SHAPE_TOLERANCE * max(aspect, another)
