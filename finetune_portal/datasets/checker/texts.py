"""Read captions in any encoding: the marks first, then UTF-8, then a guess over all captions together."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from finetune_portal.datasets.checker import accepted, code_pages

PLACEHOLDER = re.compile(accepted.PLACEHOLDER, re.IGNORECASE)
CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f]")
UTF8_MARK = b"\xef\xbb\xbf"
UTF16 = {b"\xff\xfe": "utf-16-le", b"\xfe\xff": "utf-16-be"}


class NotTextError(ValueError):
    """The bytes are no text in any encoding that is known here."""


def encoding_of(raw: bytes) -> str:
    """`utf-8`, `utf-8-sig`, `utf-16-le` or `utf-16-be` by marks or zero bytes; empty where it is a guess."""
    if raw.startswith(UTF8_MARK):
        return "utf-8-sig"
    if raw[:2] in UTF16:
        return UTF16[raw[:2]]
    zeros = [raw[at::2].count(0) for at in (0, 1)]
    if max(zeros) * 4 > len(raw) and not min(zeros):
        return "utf-16-le" if zeros[1] else "utf-16-be"
    try:
        raw.decode()
    except UnicodeDecodeError:
        return ""
    return "utf-8"


def guess_encoding(raws: Iterable[bytes]) -> str:
    """One code page for all texts that are not Unicode; empty if none reads them all."""
    return code_pages.guess(raws, code_pages.IN_TEXTS)


def decode(raw: bytes, encoding: str) -> str:
    """The text without its mark and the space around it. Raises NotTextError."""
    try:
        text = raw.decode(encoding).removeprefix("\ufeff").strip()
    except (UnicodeDecodeError, LookupError):
        raise NotTextError from None
    if not encoding or CONTROL.search(text):
        raise NotTextError
    return text


def placeholders(captions: Iterable[str]) -> list[str]:
    """The placeholders in captions, in lower case, each once."""
    return list(dict.fromkeys(word.lower() for text in captions for word in PLACEHOLDER.findall(text)))


def with_words(caption: str, words: dict[str, str]) -> str:
    """The caption with a word in place of each placeholder of `words`, which are in lower case."""
    return PLACEHOLDER.sub(lambda match: words.get(match[0].lower(), match[0]), caption)


def caption_in_json(text: str) -> str:
    """The caption in a JSON file such as {"prompt": "add a hat"}. Raises NotTextError."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise NotTextError from None
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, dict) and (caption := caption_of(value)):
        return caption
    raise NotTextError


def caption_of(row: dict[str, object]) -> str:
    """The first text of a row in a column for captions."""
    texts = (row.get(key) for key in accepted.CAPTION_COLUMNS)
    return next((text.strip() for text in texts if isinstance(text, str) and text.strip()), "")
