"""Read tables of pairs: metadata.jsonl and metadata.csv, as Hugging Face's ImageFolder has them."""

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
    """What a table says: rows with both halves, captions by the label of an image, and what is amiss."""

    file: Member
    pairs: list[tuple[Member, Member]] = field(default_factory=list)
    captions: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    several: list[str] = field(default_factory=list)


def is_table(member: Member) -> bool:
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
        halves = _halves(named)
        labels = {image.label for images_ in halves.values() for image in images_}
        table.captions.update(dict.fromkeys(labels, texts.caption_of(row)))
        if len(halves["start"]) > 1:
            table.several.extend(image.label for image in halves["start"][:3])
        elif len(halves["start"]) == len(halves["end"]) == 1 and len(labels) == 2 and not labels & used:
            used |= labels
            table.pairs.append((halves["start"][0], halves["end"][0]))
    return table


def _rows(member: Member, text: str) -> Iterator[Row]:
    if member.suffix.lower() == ".csv":
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


def _halves(named: list[tuple[str, Member]]) -> dict[str, list[Member]]:
    """The images of a row by half. A column such as “image” says none: its folder or another column does."""
    halves: dict[str, list[Member]] = {"start": [], "end": []}
    general = []
    for key, image in named:
        if half := _half_of_column(key):
            halves[half].append(image)
        else:
            general.append(image)
    for image in general:
        other = "start" if halves["end"] and not halves["start"] else "end"
        halves[half_of_words(image.folder.rpartition("/")[2]) or other].append(image)
    return halves


def _half_of_column(key: str) -> str:
    name = key.lower().strip()
    if name in accepted.START_COLUMNS:
        return "start"
    return half_of_words(name) or ("end" if name in accepted.END_COLUMNS else "")
