"""Hold the documents to the code: variables, links, paths, citations, ids of faults and names of tests."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections import Counter
from collections.abc import Iterator
from functools import cache
from inspect import getmembers, isfunction, signature
from pathlib import Path

import pytest
from django.core.management import get_commands

from finetune_portal import env
from finetune_portal.engine import scenarios
from finetune_portal.providers.registry import PROVIDERS

ROOT = Path(__file__).resolve().parent.parent
GUIDES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "AGENTS.md", "SECURITY.md")]
PAGES = [*GUIDES, *sorted((ROOT / "docs").glob("*.md"))]
SECRETS = {"secret", "kept_secret"}
ROW = re.compile(r"^\| `([A-Z][A-Z_]+)`( `_FILE`)? \|", re.MULTILINE)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FAULTS = ROOT / "docs/reliability.md"
CODE = re.compile(r"\b[A-UW-Z]\d{1,2}\b")  # an id of a fault; V2 and V4 are versions of signatures
NAMED_TEST = re.compile(r"`([\w/]+\.py)::(\w+)`")
# In backquotes: a file by its ending, or a folder of the repository by its first part.
FILE = re.compile(r"`((?:[\w.{},-]+/)*[\w.{},-]+\.(?:py|js|css|html|md|ini|toml|yaml|sh))`")
FOLDER = re.compile(r"`((?:finetune_portal|templates|static|tests|docs)(?:/[\w.-]+)*/)`")
FOLDERS = ("finetune_portal", "templates", "static", "tests", "docs")
THREATS = ROOT / "docs/threat-model.md"
# The one form in which code, templates and tests point at a document: docs/provider-api.md, 3.2 and 4.
CITATION = re.compile(r"\bdocs/([\w-]+)\.md(?:, (\d+(?:\.\d+)?(?:(?:, | and )\d+(?:\.\d+)?)*))?")
SECTION = re.compile(r"^#+ (\d+(?:\.\d+)?)\.? ", re.MULTILINE)
# Ways of pointing at a document or a section that nobody can follow.
LOOSE = re.compile(r"(?<![\w/.-])(?:[\w-]+-facts\b|[\w-]+-study\b|API page|[Ss]ections? \d|[a-z-]+\.md\b)")
CITING = [
    path
    for folder, endings in (
        ("finetune_portal", (".py",)),
        ("tests", (".py", ".md")),
        ("templates", (".html",)),
        ("static/js", (".js",)),
        ("static/css", (".css",)),
    )
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in endings and path != Path(__file__).resolve()
]
REQUIREMENT = re.compile(r"^\| ((?:\d+\.\d+\.\d+(?:, | to )?)+) \| (.+) \| (.*)\|$", re.MULTILINE)
# The requirements of level 1 and 2 in ASVS 5.0.0: 253 of them.
ASVS = """
1.1.1-2 1.2.1-9 1.3.1-11 1.4.1-3 1.5.1-2 2.1.1-3 2.2.1-3 2.3.1-4 2.4.1 3.2.1-2 3.3.1-4 3.4.1-6 3.5.1-5
3.7.1-2 4.1.1-3 4.2.1 4.3.1-2 4.4.1-4 5.1.1 5.2.1-3 5.3.1-2 5.4.1-3 6.1.1-3 6.2.1-12 6.3.1-4 6.4.1-4
6.5.1-5 6.6.1-3 6.8.1-4 7.1.1-3 7.2.1-4 7.3.1-2 7.4.1-5 7.5.1-2 7.6.1-2 8.1.1-2 8.2.1-3 8.3.1 8.4.1
9.1.1-3 9.2.1-4 10.1.1-2 10.2.1-2 10.3.1-4 10.4.1-11 10.5.1-5 10.6.1-2 10.7.1-3 11.1.1-2 11.2.1-3
11.3.1-3 11.4.1-4 11.5.1 11.6.1 12.1.1-3 12.2.1-2 12.3.1-4 13.1.1 13.2.1-5 13.3.1-2 13.4.1-5 14.1.1-2
14.2.1-4 14.3.1-3 15.1.1-3 15.2.1-3 15.3.1-7 16.1.1 16.2.1-5 16.3.1-4 16.4.1-3 16.5.1-3 17.1.1 17.2.1-4
17.3.1-2
"""


def readers() -> set[str]:
    """The functions of env.py that take the name of a variable."""
    return {
        name for name, function in getmembers(env, isfunction) if "name" in signature(function).parameters
    }


def variables_read() -> Iterator[tuple[str, str]]:
    """The variable and the reader of each call such as `env.text("PORT")`, and those of the providers."""
    known = readers()
    for provider in PROVIDERS.values():
        yield from ((name, "secret") for name in (provider.key_variable, provider.admin_key_variable) if name)
        yield from ((name, "text") for name in provider.variables.values())
    for path in (ROOT / "finetune_portal").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant)):
                continue
            match node.func:
                case ast.Attribute(value=ast.Name(id="env"), attr=reader) if reader in known:
                    yield str(node.args[0].value), reader
                case ast.Name(id=reader) if reader in known and path.name == "env.py":
                    yield str(node.args[0].value), reader


def documented_variables() -> dict[str, bool]:
    """The variables in the tables of configuration.md, and whether each may come from a file."""
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    return {name: bool(file) for name, file in ROW.findall(page)}


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_variable_is_documented_and_every_documented_one_exists() -> None:
    read = dict(variables_read())
    assert "DATA_DIR" in read
    assert "ENGINE_TIME_SCALE" in read
    assert documented_variables().keys() == read.keys()


def test_the_variables_that_may_come_from_a_file_are_the_secrets() -> None:
    secrets = {name for name, reader in variables_read() if reader in SECRETS}
    assert {name for name, may_be_file in documented_variables().items() if may_be_file} == secrets


def test_every_scenario_of_the_engine_is_documented() -> None:
    page = (ROOT / "docs/engine.md").read_text(encoding="utf-8")
    rows = {f"| `{scenario.word}` | {scenario.description} |" for scenario in scenarios.TABLE}
    assert rows <= set(page.splitlines())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_and_picture_exists(page: Path) -> None:
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


def citations(text: str) -> Iterator[tuple[str, str]]:
    """The page and the number, or an empty one, of each citation."""
    for page, numbers in CITATION.findall(text):
        for number in re.split(r", | and ", numbers):
            yield page, number


def test_every_citation_leads_to_a_heading() -> None:
    sections = {
        page.stem: {"", *SECTION.findall(page.read_text(encoding="utf-8"))}
        for page in (ROOT / "docs").glob("*.md")
    }
    cited = [
        (path.relative_to(ROOT).as_posix(), *citation)
        for path in CITING
        for citation in citations(path.read_text(encoding="utf-8"))
    ]
    assert len(cited) > 50
    assert [each for each in cited if each[2] not in sections.get(each[1], ())] == []


def test_no_citation_leaves_the_repository() -> None:
    loose = {
        path.relative_to(ROOT).as_posix(): LOOSE.findall(path.read_text(encoding="utf-8")) for path in CITING
    }
    assert {path: words for path, words in loose.items() if words} == {}


@cache
def repository() -> set[str]:
    """Each file, and each folder that holds one, with a slash in front and, for folders, at the end."""
    inside = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))
    files = {
        path.relative_to(ROOT)
        for path in (*ROOT.iterdir(), *inside)
        if path.is_file() and path.suffix != ".pyc"
    }
    folders = {parent for path in files for parent in path.parents}
    return {f"/{path.as_posix()}" for path in files} | {f"/{path.as_posix()}/" for path in folders}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_a_document_names_exists(page: Path) -> None:
    """A path may begin at any folder of the repository: `jobs/sync/` is `finetune_portal/jobs/sync/`."""
    text = page.read_text(encoding="utf-8")
    named = {*FILE.findall(text), *FOLDER.findall(text)}
    assert [
        path for path in sorted(named) if not any(known.endswith(f"/{path}") for known in repository())
    ] == []


def test_every_command_that_a_document_names_exists() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    make = set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE))
    manage = set(re.findall(r"manage\.py ([a-z_]+)", text))
    assert len(make) > 5
    assert make <= {*targets}
    assert manage <= get_commands().keys()


@pytest.mark.parametrize("page", [*GUIDES, ROOT / "docs/operations.md"], ids=lambda page: page.name)
def test_every_label_that_a_document_names_is_on_a_page(page: Path) -> None:
    """Labels are bold, such as **New training** or **Settings, Webhooks**."""
    bold = re.findall(r"\*\*([A-Z][\w, ]+)\*\*", page.read_text(encoding="utf-8"))
    named = {label for labels in bold for label in labels.split(", ")} - {"FLUX", "Google"}
    shown = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "templates").rglob("*.html"))
    assert {label for label in named if not re.search(rf"\b{label}\b", shown, re.IGNORECASE)} == set()


def prose_of(path: Path) -> Iterator[str]:
    """The names, docstrings, comments and titles of cases in a file of Python."""
    text = path.read_text(encoding="utf-8")
    if not CODE.search(text) and not re.search(r"\bdef test_[a-z]\d", text):
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield ast.get_docstring(node) or ""
            if isinstance(node, ast.FunctionDef) and (code := re.match(r"test_([a-z]\d{1,2})_", node.name)):
                yield code[1].upper()
        elif isinstance(node, ast.Constant) and re.match(r"[A-Z]\d{1,2} \S", str(node.value)):
            yield str(node.value)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.string


def test_every_id_of_a_fault_in_code_and_tests_is_defined() -> None:
    defined = re.findall(r"^\| ([A-Z]\d{1,2}) \|", FAULTS.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(defined) == len(set(defined)) > 100
    used = {
        code: path.relative_to(ROOT).as_posix()
        for path in CITING
        if path.suffix == ".py"
        for text in prose_of(path)
        for code in CODE.findall(text)
    }
    assert len(used) > 50
    assert {code: path for code, path in used.items() if code not in defined} == {}


def test_every_test_that_a_document_names_exists() -> None:
    named = {test for page in PAGES for test in NAMED_TEST.findall(page.read_text(encoding="utf-8"))}
    assert len(named) > 100
    assert [test for test in sorted(named) if test[1] not in functions(test[0])] == []


def test_each_claim_of_the_threat_model_names_its_test() -> None:
    section = THREATS.read_text(encoding="utf-8").partition("\n## Claims and their tests\n")[2]
    rows = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("|")][2:]
    assert len(rows) > 40
    assert [row for row in rows if not NAMED_TEST.search(row.rpartition(" | ")[2])] == []


@cache
def functions(path: str) -> set[str]:
    """The names of the functions of a file in tests, none if it is gone."""
    place = ROOT / "tests" / path
    if not place.exists():
        return set()
    nodes = ast.walk(ast.parse(place.read_text(encoding="utf-8")))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef)}


def span(first: str, last: str) -> list[str]:
    """From 1.2.6 to 1.2.8, or to 8."""
    section, _, number = first.rpartition(".")
    return [f"{section}.{each}" for each in range(int(number), int(last.rpartition(".")[2]) + 1)]


def documented_requirements() -> Counter[str]:
    numbered: Counter[str] = Counter()
    for numbers, _, _ in REQUIREMENT.findall(THREATS.read_text(encoding="utf-8")):
        for piece in numbers.split(", "):
            first, _, last = piece.partition(" to ")
            numbered.update(span(first, last or first))
    return numbered


def test_every_requirement_of_the_standard_is_answered_once() -> None:
    wanted = [each for piece in ASVS.split() for each in span(*(piece.split("-") * 2)[:2])]
    assert len(wanted) == 253
    assert documented_requirements() == Counter(wanted)


def test_every_test_of_a_requirement_exists() -> None:
    rows = REQUIREMENT.findall(THREATS.read_text(encoding="utf-8"))
    named = {name for _, _, tests in rows for name in re.findall(r"`([^`]+)`", tests)}
    assert len(named) > 40
    assert [name for name in sorted(named) if not (ROOT / "tests" / name).exists()] == []


def test_a_requirement_without_a_test_says_why() -> None:
    for numbers, how, tests in REQUIREMENT.findall(THREATS.read_text(encoding="utf-8")):
        assert tests.strip() or len(how) > 10, numbers
