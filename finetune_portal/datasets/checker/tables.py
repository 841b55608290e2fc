"""Read tables of pairs, such as metadata.jsonl and metadata.csv of Hugging Face's ImageFolder."""

from __future__ import annotations

import csv
import io
import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from finetune_portal.datasets.checker import accepted, texts, zip_names
from finetune_portal.datasets.checker.words import half_of_words
from finetune_portal.datasets.checker.zip_members import Member

Row = dict[str, object]


@dataclass
class Table:
    """What a table says: rows with both halves, captions by the label of an image, and what is amiss.

    `is_guess`: nothing says which half is which.
    """

    file: Member
    pairs: list[tuple[Member, Member]] = field(default_factory=list)
    captions: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    several: list[str] = field(default_factory=list)
    is_guess: bool = False


def is_table(member: Member) -> bool:
    return member.suffix.lower() in accepted.TABLE_ENDINGS


def first_table(files: list[Member]) -> Member | None:
    """The table of a dataset: one with a name that other tools give it, else the first of all."""
    tables = sorted(filter(is_table, files), key=lambda file: not _has_usual_name(file))
    return tables[0] if tables else None


def _has_usual_name(member: Member) -> bool:
    return (member.stem + member.suffix).lower() in accepted.TABLES


def read_table(member: Member, text: str, images: list[Member]) -> Table:
    """Read the rows of `text`. Paths are relative to the table's folder, else to the top of the ZIP."""
    table = Table(member)
    by_path = {zip_names.join_path(image.folder, image.stem) + image.suffix: image for image in images}
    used: set[str] = set()
    for row in _rows(member, text):
        named: list[tuple[str, Member]] = []
        for key, path in _paths(row):
            image = by_path.get(str(PurePosixPath(member.folder) / path)) or by_path.get(path)
            if image is None:
                table.missing.append(path)
            else:
                named.append((key, image))
        halves, is_guess = _halves(named)
        labels = {image.label for images_ in halves.values() for image in images_}
        table.captions.update(dict.fromkeys(labels, texts.caption_of(row)))
        if len(halves["start"]) > 1:
            table.several.extend(image.label for image in halves["start"][:3])
        elif len(halves["start"]) == len(halves["end"]) == 1 and len(labels) == 2 and not labels & used:
            used |= labels
            table.pairs.append((halves["start"][0], halves["end"][0]))
            table.is_guess |= is_guess
    return table


def _rows(member: Member, text: str) -> Iterator[Row]:
    if member.suffix.lower() != ".jsonl":
        first = text.partition("\n")[0]
        delimiter = max(",;\t", key=first.count)
        try:
            yield from csv.DictReader(io.StringIO(text), delimiter=delimiter)
        except csv.Error:
            return
        return
    for line in text.splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            yield row


def _paths(row: Row) -> Iterator[tuple[str, str]]:
    """The columns of a row that name a picture, and its path. A list names several."""
    for key, value in row.items():
        values = value if isinstance(value, list) else [value]
        for path in values:
            if isinstance(path, str) and isinstance(key, str) and _is_image(path):
                clean = unicodedata.normalize("NFC", path.strip().replace("\\", "/"))
                yield key, "/".join(part for part in clean.split("/") if part not in ("", "."))


def _is_image(path: str) -> bool:
    return zip_names.split_path(path.strip())[2].lower() in accepted.IMAGE_ENDINGS


def _halves(named: list[tuple[str, Member]]) -> tuple[dict[str, list[Member]], bool]:
    """The images of a row by half, and whether that is a guess, as no column and no folder says one.

    One that says none is the target image if the other is the input image, and the other way round.
    """
    halves: dict[str, list[Member]] = {"start": [], "end": []}
    unknown = []
    for key, image in named:
        if half := _half_of_column(key) or half_of_words(image.folder.rpartition("/")[2]):
            halves[half].append(image)
        else:
            unknown.append((key.lower().strip(), image))
    is_guess = len(unknown) > 1 and not any(halves.values())
    if is_guess and unknown[0][0] not in accepted.GENERAL_COLUMNS:
        unknown.reverse()  # columns of unknown names are read from before to after
    for _, image in unknown:
        halves["start" if halves["end"] and not halves["start"] else "end"].append(image)
    return halves, is_guess


def _half_of_column(key: str) -> str:
    name = key.lower().strip()
    if name in accepted.START_COLUMNS:
        return "start"
    return half_of_words(name) or ("end" if name in accepted.END_COLUMNS else "")
