"""Files, functions and templates stay short (docs/architecture.md)."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.test_architecture import PORTAL, ROOT, name_of, sources, tree

FILE_LINES, FUNCTION_LINES, TEMPLATE_LINES = 400, 50, 150


def test_files_stay_short() -> None:
    files = [*sources(PORTAL), *(ROOT / "static" / "js").rglob("*.js")]
    assert [str(path.relative_to(ROOT)) for path in files if lines_of(path) >= FILE_LINES] == []


def test_functions_stay_short() -> None:
    functions = [
        (f"{name_of(path)}.{node.name}", (node.end_lineno or 0) - node.lineno)
        for path in sources(PORTAL)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert functions
    assert [name for name, lines in functions if lines >= FUNCTION_LINES] == []


def test_templates_stay_short() -> None:
    templates = sorted((ROOT / "templates").rglob("*.html"))
    assert templates
    assert [path.name for path in templates if lines_of(path) >= TEMPLATE_LINES] == []


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())
