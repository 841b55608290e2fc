"""Find the caption file of a pair by its name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable

from finetune_portal.datasets.checker import accepted, tables, texts, zip_names
from finetune_portal.datasets.checker.tables import Table
from finetune_portal.datasets.checker.zip_members import Member

ENDINGS = (accepted.CAPTION_ENDING, *accepted.RENAMED_CAPTIONS)


def is_caption(file: Member) -> bool:
    return file.suffix.lower() in ENDINGS and not tables.is_table(file)


def is_note(file: Member) -> bool:
    """Whether a text file is about the dataset, such as README.txt."""
    return file.stem.casefold() in accepted.NOTES


def path_without_suffix(member: Member) -> str:
    """The path without its suffix, which the files of a pair share."""
    return zip_names.join_path(member.folder, member.stem)


def name_fault(caption: Member, start: Member, key: str) -> str:
    """The type of a finding about the name of a caption; empty for that of its pair, which has this `key`.

    Training cannot find a text that is named otherwise. Other programs compare byte by byte: they find the
    text of `01_start.png` as `01.txt` only.
    """
    if caption.suffix.lower() != accepted.CAPTION_ENDING:
        return ""
    if path_without_suffix(caption).casefold() != key:
        return "caption place"
    is_same = caption.raw == start.raw.rpartition(b"_")[0] + accepted.CAPTION_ENDING.encode()
    return "" if is_same else "caption name"


def is_in_code_page(member: Member) -> bool:
    """Whether the name is in an old code page, which other programs read in another way."""
    try:
        member.raw.decode()
    except UnicodeDecodeError:
        return True
    return False


def captioned_folders(folders: Iterable[str], stems: dict[str, set[str]], files: list[Member]) -> list[str]:
    """The folders in which captions lie beside images of the same names."""
    texts = {path_without_suffix(file).casefold() for file in files if is_caption(file)}
    return [
        folder
        for folder in folders
        if any(zip_names.join_path(folder, stem).casefold() in texts for stem in stems[folder])
    ]


class Captions:
    """Caption files by their path without the ending, the usual ending first; and the table's captions."""

    def __init__(self, files: list[Member], table: Table | None) -> None:
        self._files: dict[str, list[Member]] = defaultdict(list)
        self._by_stem: dict[str, list[Member]] = defaultdict(list)
        self._table = table
        texts = sorted(filter(is_caption, files), key=lambda file: ENDINGS.index(file.suffix.lower()))
        for file in texts:
            self._files[path_without_suffix(file).casefold()].append(file)
            self._by_stem[file.stem.casefold()].append(file)

    def file_of(self, key: str, start: Member, end: Member, others: Container[str]) -> Member | None:
        """The caption of a pair: named like the pair, like its end or start, or alone in its folder.

        Of several, the one with the usual ending; then in this order.
        `others` are the keys of all pairs, each of which has its own caption.
        """
        paths = [key, *(path_without_suffix(half).casefold() for half in (end, start))]
        if key.casefold() == end.folder.casefold():
            paths += [zip_names.join_path(end.folder, name).casefold() for name in accepted.CAPTION_NAMES]
        own = [path for path in paths if path == key or path not in others]
        files = [file for path in own for file in self._files.get(path, [])]
        if files:
            return min(files, key=lambda file: ENDINGS.index(file.suffix.lower()))
        elsewhere = self._by_stem.get(key.rpartition("/")[2], [])
        return elsewhere[0] if len({file.folder for file in elsewhere}) == 1 else None

    def caption_in_table(self, start: Member, end: Member) -> str:
        texts = self._table.captions if self._table else {}
        return texts.get(end.label) or texts.get(start.label, "")

    def second(self, used: Iterable[Member]) -> list[str]:
        """Captions that are not read, because their pair has another one, which is `used`."""
        return [
            other.label
            for file in used
            for other in self._files[path_without_suffix(file).casefold()]
            if other.name != file.name
        ]


def table_text(raw: bytes) -> str:
    """The text of a table in any encoding; empty if it is none."""
    try:
        return texts.decode(raw, texts.encoding_of(raw) or texts.guess_encoding([raw]))
    except texts.NotTextError:
        return ""
