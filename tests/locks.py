"""Read the locks: requirements*.txt, which `make lock` writes from requirements*.in."""

from __future__ import annotations

from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent


def requirements(file: str) -> list[Requirement]:
    """Each requirement of a file, without hashes, comments and options."""
    text = (ROOT / file).read_text(encoding="utf-8")
    lines = (line.partition("#")[0].strip(" \\") for line in text.splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


def for_this_system(file: str) -> dict[str, str]:
    """The version of each package that a lock gives this system and this Python."""
    here = (each for each in requirements(file) if each.marker is None or each.marker.evaluate())
    return {canonicalize_name(each.name): str(each.specifier).removeprefix("==") for each in here}
