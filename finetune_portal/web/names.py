"""Names that people type, in any script, and their ASCII form for providers."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from django import forms

INVISIBLE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
JOINERS = "\u200c\u200d"  # part of some scripts, and of emoji
LATIN = re.compile(r"LATIN (?:CAPITAL|SMALL) (?:LETTER|LIGATURE) (?:DOTLESS )?([A-Z]{1,2})\b")
LETTERS = str.maketrans({"ß": "ss", "ẞ": "SS", "Þ": "Th", "þ": "th", "Ð": "D", "ð": "d"})


def clean_name(text: str) -> str:
    """Return one line without invisible or direction-changing characters, in the normal form NFC."""
    normal = unicodedata.normalize("NFC", " ".join(text.split()))
    name = "".join(character for character in normal if _is_visible(character)).strip()
    return name if name.strip(JOINERS) else ""


def _is_visible(character: str) -> bool:
    is_tag = "\U000e0020" <= character <= "\U000e007f"  # spells the flags of England, Scotland and Wales
    return character in JOINERS or is_tag or unicodedata.category(character) not in INVISIBLE


def ascii_name(text: str, *, otherwise: str) -> str:
    """Return letters, digits, spaces, dots, dashes and underscores that read like `text`, or `otherwise`."""
    decomposed = unicodedata.normalize("NFKD", text.translate(LETTERS))
    plain = "".join(_ascii(character) for character in decomposed)
    name = " ".join(re.sub(r"[^A-Za-z0-9 ._-]+", " ", plain).split()).strip(" ._-")
    return name or otherwise


def _ascii(character: str) -> str:
    if character.isascii() or unicodedata.combining(character):
        return character if character.isascii() else ""
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    latin = LATIN.match(unicodedata.name(character, ""))
    if latin is None:
        return " "
    return latin[1] if character.isupper() else latin[1].lower()


class NameField(forms.CharField):
    """A name in any script, as one visible line."""

    def to_python(self, value: Any) -> str:
        return clean_name(super().to_python(value) or "")

    def widget_attrs(self, widget: forms.Widget) -> dict[str, Any]:
        return {**super().widget_attrs(widget), "dir": "auto"}
