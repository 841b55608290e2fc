"""Check the names in a ZIP: none may point outside, hide characters, or mean two files."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from finetune_portal.datasets.checker.messages import REPACK, ZipRejectedError, quoted

MAX_NAME = 1024
MAX_PART = 255
MAX_DEPTH = 10
INVISIBLE = re.compile("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
MAC_ICON = "Icon\r"  # the icon that macOS stores in a folder
DRIVE = re.compile(r"[A-Za-z]:")
SIMPLE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_ -]{0,99}(?:\.[A-Za-z0-9]{1,9})?")  # a fast path for most names


def check_name(name: str) -> None:
    """Raise ZipRejectedError unless `name` is a plain relative path."""
    if SIMPLE.fullmatch(name):
        return
    if INVISIBLE.search(name.removesuffix(MAC_ICON)):
        raise ZipRejectedError(
            f"{quoted(name)} has invisible characters in its name. Rename it and pack again."
        )
    for form in {name, unicodedata.normalize("NFKC", name)}:
        if _is_outside(form.replace("\\", "/")):
            raise ZipRejectedError(f"{quoted(name)} points outside the ZIP. Pack the folder again.")
    parts, length = path_parts(name), len(name.encode())
    if length > MAX_NAME or (length > MAX_PART and any(len(part.encode()) > MAX_PART for part in parts)):
        raise ZipRejectedError(f"{quoted(name)} is too long a name. Shorten it and pack again.")
    if len(parts) > MAX_DEPTH:
        raise ZipRejectedError(
            f"{quoted(name)} lies more than {MAX_DEPTH} folders deep. Pack the pictures themselves."
        )


def _is_outside(path: str) -> bool:
    """`.. ` and `...` count as `..`, since Windows drops trailing dots and spaces."""
    parts = path.split("/") if path.count(".") > 1 else []
    climbs = any(not part.strip(" .") and part.count(".") > 1 for part in parts)
    return climbs or path.startswith("/") or bool(DRIVE.match(path))


def path_parts(name: str) -> list[str]:
    """The parts of a path with slashes or backslashes."""
    parts = name.replace("\\", "/").split("/") if "/" in name or "\\" in name else [name]
    return [part for part in parts if part not in ("", ".")]


def split_path(name: str) -> tuple[str, str, str]:
    """The folder, stem and suffix of a path: “a/b.txt” gives a, b and .txt."""
    *folders, last = path_parts(name) or [""]
    dot = last.rfind(".")
    if not 0 < dot < len(last) - 1:
        dot = len(last)
    return "/".join(folders), last[:dot], last[dot:]


def join_path(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def check_duplicates(files: Iterable[str]) -> None:
    """Raise ZipRejectedError if two names are the same file on some system, or a file is also a folder."""
    seen: dict[str, str] = {}
    folders: set[str] = set()
    for name in files:
        parts = [_key(part) for part in path_parts(name)]
        key = "/".join(parts)
        if not parts:
            raise ZipRejectedError(f"A file in the ZIP has no name. {REPACK}")
        if key in seen:
            also = "" if seen[key] == name else f" (also as {quoted(seen[key])})"
            raise ZipRejectedError(f"{quoted(name)} is in the ZIP twice{also}. Keep one and pack again.")
        seen[key] = name
        folders.update("/".join(parts[:depth]) for depth in range(1, len(parts)))
    if both := folders & seen.keys():
        raise ZipRejectedError(f"{quoted(seen[min(both)])} is a file and a folder at once. {REPACK}")


def _key(part: str) -> str:
    """One key for all spellings that some file system treats as the same name."""
    if part.isascii():
        return part.lower().rstrip(". ")
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", part).casefold()).rstrip(". ")
