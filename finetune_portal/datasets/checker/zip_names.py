"""Which names may stand in a ZIP: none that leads out of it, hides something, or means two files."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from finetune_portal.datasets.checker.messages import AGAIN, Refused, shown

MAX_NAME = 1024
MAX_PART = 255
MAX_DEPTH = 10
INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
MAC_ICON = "Icon\r"  # the picture that a Mac gives a folder
DRIVE = re.compile(r"[A-Za-z]:")
SIMPLE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_ -]{0,99}(?:\.[A-Za-z0-9]{1,9})?")  # as most are


def refuse_name(name: str) -> None:
    """Raise Refused when `name` is not a plain relative path."""
    if SIMPLE.fullmatch(name):
        return
    if INVISIBLE.search(name.removesuffix(MAC_ICON)):
        raise Refused(f"{shown(name)} has invisible characters in its name. Rename it and pack again.")
    for form in {name, unicodedata.normalize("NFKC", name)}:
        if _leads_out(form.replace("\\", "/")):
            raise Refused(f"{shown(name)} points outside the ZIP. Pack the folder again.")
    parts, length = split(name), len(name.encode())
    if length > MAX_NAME or (length > MAX_PART and any(len(part.encode()) > MAX_PART for part in parts)):
        raise Refused(f"{shown(name)} is too long a name. Shorten it and pack again.")
    if len(parts) > MAX_DEPTH:
        raise Refused(f"{shown(name)} lies more than {MAX_DEPTH} folders deep. Pack the pictures themselves.")


def _leads_out(path: str) -> bool:
    """`.. ` and `...` count as `..`: Windows drops trailing dots and spaces."""
    parts = path.split("/") if path.count(".") > 1 else []
    climbs = any(not part.strip(" .") and part.count(".") > 1 for part in parts)
    return climbs or path.startswith("/") or bool(DRIVE.match(path))


def split(name: str) -> list[str]:
    """The parts of a path, whichever slash its zipper wrote."""
    parts = name.replace("\\", "/").split("/") if "/" in name or "\\" in name else [name]
    return [part for part in parts if part not in ("", ".")]


def place(name: str) -> tuple[str, str, str]:
    """The folder, the bare name and the ending of a path: “a/b.txt” is a, b and .txt."""
    *folders, last = split(name) or [""]
    dot = last.rfind(".")
    if not 0 < dot < len(last) - 1:
        dot = len(last)
    return "/".join(folders), last[:dot], last[dot:]


def join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def refuse_doubles(files: Iterable[str]) -> None:
    """Raise Refused when two files become one on some system, or a file is also a folder."""
    seen: dict[str, str] = {}
    folders: set[str] = set()
    for name in files:
        parts = [_key(part) for part in split(name)]
        key = "/".join(parts)
        if not parts:
            raise Refused(f"A file in the ZIP has no name. {AGAIN}")
        if key in seen:
            twin = "" if seen[key] == name else f" (also as {shown(seen[key])})"
            raise Refused(f"{shown(name)} is in the ZIP twice{twin}. Keep one and pack again.")
        seen[key] = name
        folders.update("/".join(parts[:depth]) for depth in range(1, len(parts)))
    if both := folders & seen.keys():
        raise Refused(f"{shown(seen[min(both)])} is a file and a folder at once. {AGAIN}")


def _key(part: str) -> str:
    """The same for every spelling that some file system takes for the same name."""
    if part.isascii():
        return part.lower().rstrip(". ")
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", part).casefold()).rstrip(". ")
