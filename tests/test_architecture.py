"""Who may import whom (docs/architecture.md), read from the source itself."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PORTAL = "finetune_portal"
# lower first
APPS = (
    "web",
    "audit",
    "accounts",
    "connections",
    "datasets",
    "jobs",
    "playground",
    "notices",
    "webhooks",
    "gateway",
    "worker",
)
ASKS_UPSTREAM = {"abilities", "client", "files", "progress", "running", "services", "submission", "sync"}
FILE_LINES, FUNCTION_LINES, TEMPLATE_LINES = 400, 50, 150


class Import(NamedTuple):
    """`what` is imported in the module `by`; names from a module are `module.name`."""

    by: str
    what: str
    in_function: bool


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING"


def walk(node: ast.AST, by: str, *, in_function: bool = False) -> Iterator[Import]:
    """Every import that runs; those under TYPE_CHECKING are annotations and tie nothing."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(by, alias.name, in_function) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert not child.level, f"{by} imports relatively"
            yield from (Import(by, f"{child.module}.{alias.name}", in_function) for alias in child.names)
        elif not is_for_types(child):
            inner = in_function or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from walk(child, by, in_function=inner)


@cache
def imports() -> list[Import]:
    return [found for path in sources(PORTAL) for found in walk(tree(path), name_of(path))]


def inside(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def room(name: str) -> str:
    """`jobs` for finetune_portal.jobs.views, empty for what lies in no room."""
    parts = name.split(".")
    return parts[1] if len(parts) > 2 and parts[0] == PORTAL else ""


def kind(name: str) -> str:
    return name.rsplit(".", 1)[-1]


def told(found: list[Import]) -> list[str]:
    return [f"{each.by} imports {each.what}" for each in found]


def test_it_reads_the_imports_at_all() -> None:
    known = {(each.by, each.what) for each in imports()}
    assert (f"{PORTAL}.jobs.views", f"{PORTAL}.jobs.services") in known
    assert (f"{PORTAL}.connections.client", f"{PORTAL}.segmind.SegmindClient") in known


def test_only_services_and_sync_ask_the_upstream() -> None:
    """Rule 1: no view imports requests or the client."""
    client = (f"{PORTAL}.connections.client", f"{PORTAL}.segmind.SegmindClient", f"{PORTAL}.segmind.client")
    askers = [each for each in imports() if inside(each.what, *client) and room(each.by) in APPS]
    assert told([each for each in askers if kind(each.by) not in ASKS_UPSTREAM]) == []
    assert askers


def test_only_the_client_and_the_guard_know_requests() -> None:
    users = {each.by for each in imports() if inside(each.what, "requests", "urllib3", "httpx", "aiohttp")}
    assert users == {f"{PORTAL}.segmind.transport", f"{PORTAL}.web.outbound", f"{PORTAL}.datasets.remote"}


def test_only_a_child_of_the_engine_knows_ray() -> None:
    users = {each.by for each in imports() if inside(each.what, "ray")}
    assert users == {f"{PORTAL}.engine.trainers.on_ray.__main__"}


def test_services_know_nothing_of_pages() -> None:
    """Rule 1: no django.http, no forms, views or templates below a view."""
    pages = ("django.http", "django.forms", "django.shortcuts", "django.template", "django.contrib.messages")
    below = [each for each in imports() if kind(each.by) in ASKS_UPSTREAM | {"models", "timeline", "lanes"}]
    bad = [
        each
        for each in below
        if inside(each.what, *pages)
        or (inside(each.what, PORTAL) and {"forms", "views", "http"} & set(each.what.split(".")[2:]))
    ]
    assert told(bad) == []


def test_models_do_no_io() -> None:
    upstream = (f"{PORTAL}.connections.client", f"{PORTAL}.segmind")
    outside = ("socket", "subprocess", "urllib.request", "shutil", *upstream)
    assert (
        told([each for each in imports() if kind(each.by) == "models" and inside(each.what, *outside)]) == []
    )


def test_the_client_knows_neither_django_nor_the_portal() -> None:
    """Rule 2."""
    found = [each for each in imports() if inside(each.by, f"{PORTAL}.segmind")]
    own = f"{PORTAL}.segmind"
    bad = [
        each
        for each in found
        if inside(each.what, "django") or (inside(each.what, PORTAL) and not inside(each.what, own))
    ]
    assert told(bad) == []


def test_the_engine_knows_of_the_portal_only_env() -> None:
    """Rule 3."""
    allowed = (f"{PORTAL}.env", f"{PORTAL}.engine")
    found = [each for each in imports() if inside(each.by, f"{PORTAL}.engine")]
    assert (
        told([each for each in found if inside(each.what, PORTAL) and not inside(each.what, *allowed)]) == []
    )


def test_the_portal_knows_nothing_of_the_engine() -> None:
    """Rule 3."""
    engine = f"{PORTAL}.engine"
    found = [each for each in imports() if inside(each.what, engine) and not inside(each.by, engine)]
    assert told(found) == []


def test_no_app_imports_a_higher_one() -> None:
    """Rule 4."""
    between = [each for each in imports() if room(each.by) in APPS and room(each.what) in APPS]
    assert told([each for each in between if APPS.index(room(each.what)) > APPS.index(room(each.by))]) == []


def test_no_import_hides_in_a_function() -> None:
    """Rule 4."""
    assert told([each for each in imports() if each.in_function]) == []


def test_every_room_has_its_place() -> None:
    rooms = {path.parent.name for path in (ROOT / PORTAL).glob("*/__init__.py")}
    assert rooms == {*APPS, "segmind", "engine"}


def test_files_stay_short() -> None:
    found = [*sources(PORTAL), *(ROOT / "static" / "js").glob("*.js")]
    assert [str(path.relative_to(ROOT)) for path in found if lines_of(path) >= FILE_LINES] == []


def test_functions_stay_short() -> None:
    functions = [
        (f"{name_of(path)}.{node.name}", (node.end_lineno or 0) - node.lineno)
        for path in sources(PORTAL)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    assert [name for name, lines in functions if lines >= FUNCTION_LINES] == []
    assert functions


def test_templates_stay_short() -> None:
    found = sorted((ROOT / "templates").rglob("*.html"))
    assert [path.name for path in found if lines_of(path) >= TEMPLATE_LINES] == []
    assert found


def lines_of(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())
