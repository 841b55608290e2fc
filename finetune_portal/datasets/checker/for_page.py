"""What the browser's own check takes from this one, so that both say the same of the same files."""

from __future__ import annotations

from typing import Any

from finetune_portal.datasets.checker import accepted, code_pages, file_types, texts
from finetune_portal.datasets.checker.findings import FINDING_TYPES, QUESTIONS

# The code pages that TextDecoder knows, by its names. Those of single bytes go as their characters.
ENCODINGS = {"cp932": "shift_jis", "gb18030": "gb18030", "big5": "big5", "cp949": "euc-kr"}
ENCODINGS |= {"utf-16-le": "utf-16le", "utf-16-be": "utf-16be"}


def accepted_files() -> dict[str, Any]:
    """The table of `accepted.as_json`, with the sentences of the check.

    findings    {type: {level, one, many, repair}}: sentences with {} for the names and {detail}
    questions   {code: sentence}
    others      [[bytes, label]]: the first bytes of files that are no pictures, in hexadecimal
    """
    others = {**file_types.ARCHIVES, **file_types.OTHER_TYPES}
    return {
        **accepted.as_json(),
        "findings": {key: vars(each) for key, each in FINDING_TYPES.items()},
        "questions": QUESTIONS,
        "others": [[magic.hex(), label] for magic, label in others.items()],
    }


def code_page(kind: str, raws: list[bytes]) -> dict[str, Any]:
    """The code page of `names` or `texts` that are not UTF-8; an empty label if none reads them all.

    `encoding` is its name for TextDecoder, or else `characters` are those of the bytes 80 to FF, with U+FFFD
    where there is none. `isForAll`: names in valid UTF-8 are in this code page, too.
    """
    page, is_for_all = texts.guess_encoding(raws), True
    if kind == "names":
        page, is_for_all = code_pages.guess_for_names(raws)
    encoding = ENCODINGS.get(page, "")
    characters = bytes(range(0x80, 0x100)).decode(page, "replace") if page and not encoding else ""
    label = code_pages.LABELS.get(page, "")
    return {"label": label, "encoding": encoding, "characters": characters, "isForAll": is_for_all}
