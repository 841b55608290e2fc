"""The documents keep to the program: every variable is told, every link and picture is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from inspect import getmembers, isfunction, signature
from pathlib import Path

import pytest

from finetune_portal import env
from finetune_portal.engine import scenarios

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SECRETS = {"secret", "kept_secret"}
ROW = re.compile(r"^\| `([A-Z][A-Z_]+)`( `_FILE`)? \|", re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def readers() -> set[str]:
    """The functions of env.py that take the name of a variable."""
    return {
        name for name, function in getmembers(env, isfunction) if "name" in signature(function).parameters
    }


def reads() -> Iterator[tuple[str, str]]:
    """The variable and the reader of each call such as `env.text("PORT")`, and of env.py's own."""
    known = readers()
    for path in (ROOT / "finetune_portal").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)):
                continue
            match node.func:
                case ast.Attribute(value=ast.Name(id="env"), attr=reader) if reader in known:
                    yield str(node.args[0].value), reader
                case ast.Name(id=reader) if reader in known and path.name == "env.py":
                    yield str(node.args[0].value), reader


def told() -> dict[str, bool]:
    """The variables in the tables of configuration.md, and whether each may come from a file."""
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    return {name: bool(file) for name, file in ROW.findall(page)}


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_variable_is_told_and_every_told_one_exists() -> None:
    read = dict(reads())
    assert "DATA_DIR" in read
    assert "ENGINE_TIME_SCALE" in read
    assert told().keys() == read.keys()


def test_the_variables_that_may_come_from_a_file_are_the_secrets() -> None:
    secrets = {name for name, reader in reads() if reader in SECRETS}
    assert {name for name, may_be_file in told().items() if may_be_file} == secrets


def test_every_scenario_of_the_engine_is_told() -> None:
    page = (ROOT / "docs/engine.md").read_text(encoding="utf-8")
    rows = {f"| `{scenario.word}` | {scenario.says} |" for scenario in scenarios.TABLE}
    assert rows <= set(page.splitlines())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_picture_is_there(page: Path) -> None:
    targets = LINK.findall(page.read_text(encoding="utf-8"))
    missing = []
    for target in targets:
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = target.partition("#")
        path = (page.parent / place).resolve() if place else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            missing.append(target)
    assert not missing
