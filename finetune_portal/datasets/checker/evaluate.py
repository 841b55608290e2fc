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
from finetune_portal.datasets.checker.verdict import Pair, Verdict
from finetune_portal.datasets.checker.zip_members import Member

MAX_CAPTIONS = 4_000_000
EXAMPLES = 6  # halves, of which every second is shown


@dataclass
class Content:
    """What was read: the arrangement of the pairs, a look at each member by its name, the findings.

    `old_names` are the names that need a code page, as bytes. `caption_page` is the code page that a person
    chose for captions, empty where it is guessed.
    """

    arrangement: Arrangement
    looks: dict[str, Look] = field(default_factory=dict)
    findings: Findings = field(default_factory=Findings)
    captions: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    old_names: list[bytes] = field(default_factory=list)
    caption_page: str = ""

    def image(self, name: str) -> ImageInfo | None:
        return look.image if (look := self.looks.get(name)) else None

    def caption(self, pair: ArrangedPair) -> str:
        return self.captions.get(pair.caption_file.name, "") if pair.caption_file else pair.caption


def evaluate(content: Content) -> Verdict:
    """The verdict on what was read. Fills `captions` and adds to the findings of `content`."""
    findings = content.findings
    _layout(content.arrangement, findings)
    questions = _questions(content)
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


def _questions(content: Content) -> list[dict[str, Any]]:
    """Which half is which, and how names in an old code page are read, where these are guesses."""
    questions: list[dict[str, Any]] = []
    images = [image for pair in content.arrangement.pairs for image in pair.images]
    if content.arrangement.is_guess and images:
        sentence = QUESTIONS["halves"].format(*(quoted(half.label) for half in images[:2]))
        questions.append({"code": "halves", "sentence": sentence})
    if guessed := [image for image in images if image.page]:
        first, examples = guessed[0], [half.raw for half in guessed[:EXAMPLES:2]]
        detail = code_pages.LABELS[first.page]
        sentence = QUESTIONS["names"].format(quoted(first.label), detail=detail)
        choices = code_pages.choices(content.old_names, examples, first.page)
        question = {"code": "names", "sentence": sentence}
        questions.append({**question, "choices": choices} if len(choices) > 1 else question)
    return questions


def _looks(content: Content) -> None:
    """The findings of images and captions, pair by pair, and of archives anywhere."""
    pairs = content.arrangement.pairs
    images = (image.name for pair in pairs for image in pair.images)
    for name in dict.fromkeys((*images, *content.looks)):
        for key, detail in content.looks[name].findings:
            content.findings.add(key, content.labels.get(name, name), detail=detail)


def _captions(content: Content) -> list[dict[str, Any]]:
    """Decode the captions; one code page is guessed for all that are not Unicode."""
    files = [pair.caption_file for pair in content.arrangement.pairs if pair.caption_file]
    raws = {file.name: raw for file in files if (raw := content.looks[file.name].raw) is not None}
    encodings = {name: texts.encoding_of(raw) for name, raw in raws.items()}
    old = [raw for name, raw in raws.items() if not encodings[name]]
    guess = content.caption_page or texts.guess_encoding(old)
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
    asked = (file for file in files if encodings.get(file.name) == "" and file.name in content.captions)
    if (first := next(asked, None)) is None:
        return []
    sentence = _encoding_question(first.label, guess, content.captions[first.name])
    choices = code_pages.choices_for_texts(old, guess)
    question = {"code": "encoding", "sentence": sentence}
    return [{**question, "choices": choices} if len(choices) > 1 else question]


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
        quoted(label), quoted(code_pages.around_odd(text)), detail=code_pages.LABELS[guess]
    )


def _caption_findings(label: str, text: str, findings: Findings) -> None:
    if not text:
        findings.add("empty caption", label)
    if len(text) > accepted.LONG_CAPTION:
        findings.add("long caption", label)
    if match := texts.PLACEHOLDER.search(text):
        findings.add("placeholder", label, detail=match[0])


def _pairs(content: Content) -> Iterator[Pair]:
    """The pairs of which all images could be read."""
    for pair in content.arrangement.pairs:
        names = [image.name for image in pair.images]
        sizes = [info.size for name in names if (info := content.image(name))]
        if len(sizes) == len(names):
            further = tuple(zip(names[2:], sizes[2:], strict=True))
            yield Pair(pair.index, names[0], names[1], content.caption(pair), sizes[0], sizes[1], further)


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
    most = max((1 + len(pair.further) for pair in arranged), default=1)
    if most > 1:
        findings.add("further inputs", "", detail=str(most))
    if 0 < len(arranged) < accepted.FEW_PAIRS:
        findings.add("few", "", detail="1 pair" if len(arranged) == 1 else f"{len(arranged)} pairs")


def _compare(content: Content) -> None:
    """Halves that are equal or in different colour spaces, and pairs that are equal."""
    alike: dict[object, list[str]] = defaultdict(list)
    for pair in content.arrangement.pairs:
        keys = [(image.crc, image.size) for image in pair.images]
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
