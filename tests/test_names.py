"""Names that the code has retired do not come back, as identifiers or as words of pages and documents.

CONTRIBUTING.md has the rule of names. What others rely on keeps its old name, and is listed here.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = """
jobs/desk jobs/news jobs/stations jobs/trouble jobs/menu jobs/files jobs/submission connections/pace
connections/abilities accounts/ways_in accounts/letters accounts/roster accounts/proof web/deeds web/sealing
web/origin web/commits web/clients web/bodies web/pages web/leases datasets/incoming datasets/kinds
datasets/pictures datasets/sentences datasets/receive datasets/uploads datasets/plain_png worker/lanes
playground/running notices/__init__ engine/trainers/painter engine/trainers/models engine/trainers/lora/paint
engine/trainers/lora/group engine/trainers/lora/flow engine/trainers/lora/pictures
"""
PYTHON = """
told found Lookout News mood felt told_to STATIONS Trouble Purse SCOUT asking asking_for_a_person key_refused
Carry trip carry_next leg to_move Incoming Piece Behind deed deeds DEEDS seal unseal anew KeyLost by_token
answering remember_origin keeping Lane LANES lane Notice Trial trial Refused Refusal Unusable Unreadable
Exceeded Stalled Forbidden Denied NoPlace Occupied Hook turn_away Permit Told Sealed SignedInFirst
NotOfThisPlace Studio wear worn upstream Upstream UPSTREAMS
"""
SCRIPTS = "told found hear heeds mention ours bring deed deeds mood twin upstream"
WORDS = "upstream upstreams deed deeds mood roster lookout purse desk"
# Data of release 0.1 with the scripts that made it, and migrations, keep the names of their day.
OLD = ("tests/upgrade/", "/migrations/", "/vendor/", "tests/test_names.py")
# A variable and metrics that others rely on.
ALIASES = ("portal_upstream", "upstream_up", "upstream_age_seconds", "upstream_closed")


@cache
def tracked() -> list[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("the list of files comes from git")
    output = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [
        path
        for path in output.splitlines()
        if not any(old in path for old in OLD) and (ROOT / path).is_file()
    ]


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def identifiers(path: str) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(read(path))):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name, node.lineno
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node.lineno
            case ast.keyword(arg=str(name)):
                yield name, node.value.lineno
            case ast.alias(name=name, asname=alias):
                yield from ((part, node.lineno) for part in (*name.split("."), alias or ""))


def test_no_module_has_a_retired_name() -> None:
    assert [each for each in MODULES.split() if (ROOT / "finetune_portal" / f"{each}.py").exists()] == []


def test_no_identifier_of_python_is_a_retired_name() -> None:
    retired = set(PYTHON.split())
    sources = [path for path in tracked() if path.endswith(".py")]
    assert [
        f"{path}:{line} {name}" for path in sources for name, line in identifiers(path) if name in retired
    ] == []


def test_no_identifier_of_scripts_and_styles_is_a_retired_name() -> None:
    retired = re.compile(rf"\b(?:{'|'.join(SCRIPTS.split())})\b")
    prose = re.compile(r"//[^\n]*|/\*.*?\*/|`[^`]*`|\"[^\"\n]*\"", re.DOTALL)
    assert [
        f"{path}: {match.group()}"
        for path in tracked()
        if path.endswith((".js", ".css"))
        for match in retired.finditer(prose.sub(" ", read(path)))
    ] == []


def test_no_page_document_or_sentence_has_a_retired_word() -> None:
    retired = re.compile(rf"(?i)\b\w*?_?(?:{'|'.join(WORDS.split())})(?:_\w*)?\b")
    assert [
        f"{path}: {match.group()}"
        for path in tracked()
        if path.endswith((".py", ".html", ".js", ".css", ".md"))
        for match in retired.finditer(read(path))
        if not match.group().lower().startswith(ALIASES)
    ] == []
