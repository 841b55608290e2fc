"""Who may import whom (docs/architecture.md), read from the source of the portal and the engine."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PORTAL = "finetune_portal"
# An app imports only itself and those that stand before it.
APPS = (
    "queue",
    "web",
    "storage",
    "audit",
    "accounts",
    "projects",
    "connections",
    "costs",
    "datasets",
    "jobs",
    "registry",
    "playground",
    "notifications",
    "webhooks",
    "deletion",
    "gateway",
    "worker",
    "operations",
)
# Within an app, lower first: a module imports only its own layer and those before it.
LAYERS = (
    ("apps", "checks", "models", "choices"),
    ("access", "services", "timeline", "tasks"),
    ("forms",),
    ("views",),
    ("urls",),
)
# The modules at the root that the apps and the engine may know; the others know the apps.
FOUNDATION = {"env"}
ENTRANCES = {"asgi", "gunicorn", "settings", "urls", "wsgi"}

PROVIDER_CLIENT = (f"{PORTAL}.connections.client", f"{PORTAL}.providers.segmind.SegmindClient")
USES_CLIENT = {
    "services",
    "transfer",
    "capabilities",
    "generate",
    "prices",
    "sync",
    "finishing",
}  # modules, or packages of that name

HTTP = ("requests", "urllib3", "httpx", "aiohttp", "http.client", "urllib.request", "websockets")
USES_HTTP = {
    f"{PORTAL}.providers": "calls to providers",
    f"{PORTAL}.web.outbound": "the guard of addresses that people typed",
    f"{PORTAL}.engine.fetch": "the engine's own guard",
}
SHARED_BY_PROVIDERS = ("contract", "errors", "http", "parameter", "provider")
# Each third-party client has its module. allauth is the accounts app's own foundation.
THIRD_PARTY = {
    "apprise": {f"{PORTAL}.notifications.apprise_client"},
    "django.core.mail": {f"{PORTAL}.accounts.emails"},
    "smtplib": {f"{PORTAL}.accounts.emails"},
    "ray": {f"{PORTAL}.engine.trainers.on_ray.__main__"},
    "boto3": set(),
}
# Foreign pictures are decoded by one module of the portal, in the limited child of the checker, and by one of
# the engine, in a limited child of its own and in its trainers, which are children, too.
DECODES = {f"{PORTAL}.datasets.checker.pixels"}
ENGINE_DECODES = f"{PORTAL}.engine.images.pixels"
ENGINE_CHILD = f"{PORTAL}.engine.images.child"
# What writes to a disk. Files under DATA_DIR are written by storage/, and by the checker's child in its room.
WRITES = {
    *("write_bytes", "write_text", "mkdir", "unlink", "rmtree", "copyfile", "copyfileobj"),
    *("mkstemp", "mkdtemp", "TemporaryFile", "NamedTemporaryFile", "TemporaryDirectory", "fdopen"),
}
MAY_WRITE = {
    f"{PORTAL}.storage": "the door",
    f"{PORTAL}.engine": "it has a door of its own, room.py",
    f"{PORTAL}.env": "the secrets",
    f"{PORTAL}.operations.data_folder": "DATA_DIR itself",
    f"{PORTAL}.datasets.checker": "drafts that storage/ gave it",
    f"{PORTAL}.operations.backups": "the backup, wherever it is to lie",
}


class Import(NamedTuple):
    """The module `by` imports `what`; names from a module are `module.name`."""

    by: str
    what: str
    in_function: bool


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def walk(node: ast.AST, by: str, *, in_function: bool = False) -> Iterator[Import]:
    """Every import, those under TYPE_CHECKING included."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (Import(by, alias.name, in_function) for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            assert not child.level, f"{by} imports relatively"
            yield from (Import(by, f"{child.module}.{alias.name}", in_function) for alias in child.names)
        else:
            inner = in_function or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from walk(child, by, in_function=inner)


@cache
def imports() -> list[Import]:
    return [each for path in sources(PORTAL) for each in walk(tree(path), name_of(path))]


@cache
def modules() -> frozenset[str]:
    return frozenset(name_of(path) for path in sources(PORTAL))


def module_of(what: str) -> str:
    """The module of the portal that an imported name is or comes from; empty for a foreign one."""
    return what if what in modules() else parent if (parent := what.rpartition(".")[0]) in modules() else ""


def inside(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def package(name: str) -> str:
    """`jobs` for finetune_portal.jobs.table.views, `env` for finetune_portal.env, empty for foreign ones."""
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == PORTAL else ""


def leaf(name: str) -> str:
    return name.rsplit(".", 1)[-1]


def written(faults: Iterable[Import]) -> list[str]:
    return [f"{each.by} imports {each.what}" for each in faults]


def users(*libraries: str) -> set[str]:
    return {each.by for each in imports() if inside(each.what, *libraries)}


def groups(key: Callable[[str], str]) -> dict[str, set[str]]:
    """Which groups of modules import which others, by the group that `key` gives a module."""
    graph: dict[str, set[str]] = {}
    for each in imports():
        by, what = key(each.by), key(module_of(each.what))
        if by and what and by != what:
            graph.setdefault(by, set()).add(what)
    return graph


def reached_from(starts: set[str]) -> set[str]:
    """These modules, and those that they import, directly or through others."""
    graph = groups(lambda name: name)
    reached, waiting = set(starts), [*starts]
    while waiting:
        new = graph.get(waiting.pop(), set()) - reached
        reached |= new
        waiting += new
    return reached


def cycle(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as exc:
        path: list[str] = exc.args[1]
        return path
    return []


def test_it_reads_the_imports_at_all() -> None:
    known = {(each.by, each.what) for each in imports()}
    assert (f"{PORTAL}.jobs.views", f"{PORTAL}.jobs.services") in known
    assert (f"{PORTAL}.connections.client", f"{PORTAL}.providers.segmind.SegmindClient") in known


def test_every_package_and_root_module_has_its_place() -> None:
    packages = {path.parent.name for path in (ROOT / PORTAL).glob("*/__init__.py")}
    assert packages == {*APPS, "providers", "engine"}
    root = {path.stem for path in (ROOT / PORTAL).glob("*.py")} - {"__init__"}
    assert root <= FOUNDATION | ENTRANCES


def test_no_module_imports_in_a_circle() -> None:
    assert cycle(groups(lambda name: name)) == []


def test_no_app_imports_a_higher_one() -> None:
    """Start checks and app configurations count, too."""
    order = {name: place for place, name in enumerate(APPS)}
    between = [each for each in imports() if package(each.by) in order and package(each.what) in order]
    assert between
    assert written(each for each in between if order[package(each.what)] > order[package(each.by)]) == []


def test_no_app_knows_an_entrance() -> None:
    """urls, asgi and settings know the apps; the apps and the engine know of the root only env."""
    inner = [each for each in imports() if package(each.by) not in ENTRANCES]
    assert written(each for each in inner if package(each.what) in ENTRANCES) == []
    assert (
        written(
            each
            for each in imports()
            if package(each.by) in FOUNDATION and package(each.what) in {*APPS, *ENTRANCES}
        )
        == []
    )


def is_model(name: str) -> bool:
    """Whether the module is an app's models.py, or in its package of that name."""
    return "models" in name.split(".")[2:3]


def test_layers_of_an_app_point_downwards() -> None:
    """Urls -> views -> forms -> access, services -> models, within each app."""
    place = {name: number for number, layer in enumerate(LAYERS) for name in layer}

    def layer_of(name: str) -> int | None:
        end = "models" if is_model(name) else leaf(name)
        end = "views" if end.endswith("_views") else "urls" if end.endswith("_urls") else end
        return place.get(end)

    faults = [
        each
        for each in imports()
        if package(each.by) == package(each.what)
        and (below := layer_of(each.by)) is not None
        and (above := layer_of(module_of(each.what))) is not None
        and above > below
    ]
    assert written(faults) == []


def test_only_services_and_sync_call_a_provider() -> None:
    askers = [each for each in imports() if inside(each.what, *PROVIDER_CLIENT) and package(each.by) in APPS]
    assert askers
    allowed = {f"{PORTAL}.connections.client"}
    bad = [
        each for each in askers if each.by not in allowed and not USES_CLIENT & set(each.by.split(".")[2:])
    ]
    assert written(bad) == []


def test_only_providers_and_the_guards_use_the_network() -> None:
    assert {name for name in users(*HTTP) if not inside(name, *USES_HTTP)} == set()


def test_each_third_party_client_has_its_module() -> None:
    assert {library: users(library) for library in THIRD_PARTY} == THIRD_PARTY
    assert {package(name) for name in users("allauth")} <= {"accounts", "operations"}


def test_one_module_of_the_portal_and_one_of_the_engine_decode_pictures() -> None:
    importers = users("PIL", "pillow_heif")
    assert {name for name in importers if not inside(name, f"{PORTAL}.engine")} == DECODES
    outside_trainers = {name for name in importers - DECODES if not inside(name, f"{PORTAL}.engine.trainers")}
    assert outside_trainers == {ENGINE_DECODES}
    askers = {each.by for each in imports() if module_of(each.what) == ENGINE_DECODES}
    assert {name for name in askers if not inside(name, f"{PORTAL}.engine.trainers")} == {ENGINE_CHILD}


def test_the_engines_own_process_imports_no_pillow() -> None:
    """Whatever a module of its server, its commands or its settings imports, directly or through others."""
    server = f"{PORTAL}.engine"
    starts = {f"{server}.{name}" for name in ("__main__", "apps", "gunicorn_worker", "settings", "urls")}
    starts |= {name for name in modules() if inside(name, f"{server}.management")}
    loaded = reached_from(starts)
    assert f"{server}.images.decoder" in loaded
    assert f"{server}.trainers.image_generator" in loaded
    assert loaded & users("PIL", "pillow_heif") == set()


def test_the_portal_loads_no_decoder() -> None:
    """Only the programs of the checker's limited child do, in the portal; of the engine see above."""
    child = f"{PORTAL}.datasets.checker.child"
    loads = set(DECODES)
    while more := {module.by for module in imports() if module_of(module.what) in loads} - loads:
        loads |= more
    assert {f"{child}.{name}" for name in ("check", "pictures", "repair")} <= loads
    assert {name for name in loads if not inside(name, f"{PORTAL}.datasets.checker")} == set()
    assert f"{PORTAL}.datasets.checker" not in loads, "the portal imports the checker by its face"


def test_services_know_nothing_of_pages() -> None:
    """No django.http, forms, views or templates below a view."""
    pages = ("django.http", "django.forms", "django.shortcuts", "django.template", "django.contrib.messages")
    below = {"models", "timeline", "tasks", *USES_CLIENT}
    bad = [
        each
        for each in imports()
        if below & set(each.by.split(".")[2:])
        and (
            inside(each.what, *pages)
            or (package(each.what) in APPS and {"forms", "views", "http"} & set(each.what.split(".")[2:]))
        )
    ]
    assert written(bad) == []


def writes(node: ast.AST) -> bool:
    """Whether it is a call that changes files."""
    if not isinstance(node, ast.Call):
        return False
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    mode = [each.value for each in node.args if isinstance(each, ast.Constant)]
    return name in WRITES or (name == "open" and any(set("wax+") & set(str(each)) for each in mode))


def test_files_are_written_by_storage_alone() -> None:
    """So nobody forgets to ask for room on the disk."""
    writers = {name_of(path) for path in sources(PORTAL) if any(map(writes, ast.walk(tree(path))))}
    assert f"{PORTAL}.storage.files" in writers
    assert {name for name in writers if not inside(name, *MAY_WRITE)} == set()


def test_models_do_no_io() -> None:
    outside = ("socket", "subprocess", "urllib.request", "shutil", *PROVIDER_CLIENT, f"{PORTAL}.providers")
    models = [each for each in imports() if is_model(each.by)]
    assert {f"{PORTAL}.jobs.models.job", f"{PORTAL}.datasets.models"} <= {each.by for each in models}
    assert written(each for each in models if inside(each.what, *outside)) == []


def test_the_checker_knows_no_django() -> None:
    inner = [each for each in imports() if inside(each.by, f"{PORTAL}.datasets.checker")]
    assert inner
    allowed = (f"{PORTAL}.datasets.checker", f"{PORTAL}.storage.room", f"{PORTAL}.web.disk_full")
    bad = [
        each
        for each in inner
        if inside(each.what, "django") or (inside(each.what, PORTAL) and not inside(each.what, *allowed))
    ]
    assert written(bad) == []


def test_the_portal_imports_the_checker_by_its_face() -> None:
    checker = f"{PORTAL}.datasets.checker"
    names = {each.what for each in imports() if inside(each.what, checker) and not inside(each.by, checker)}
    assert f"{checker}" in names
    assert {name for name in names if module_of(name) != checker} == set()


def test_a_provider_knows_neither_django_nor_the_portal_nor_another() -> None:
    """But for the registry, which has one line for each."""
    shared = {f"{PORTAL}.providers.{name}" for name in SHARED_BY_PROVIDERS}
    bad = []
    for each in imports():
        if not inside(each.by, f"{PORTAL}.providers") or each.by == f"{PORTAL}.providers.registry":
            continue
        own = ".".join(each.by.split(".")[:3])
        foreign = inside(each.what, PORTAL) and not inside(each.what, own, *shared)
        if inside(each.what, "django") or foreign:
            bad.append(each)
    assert written(bad) == []


def test_the_engine_knows_of_the_portal_only_env() -> None:
    allowed = (f"{PORTAL}.env", f"{PORTAL}.engine")
    inner = [each for each in imports() if inside(each.by, f"{PORTAL}.engine")]
    assert inner
    assert (
        written(each for each in inner if inside(each.what, PORTAL) and not inside(each.what, *allowed)) == []
    )


def test_the_portal_knows_nothing_of_the_engine() -> None:
    engine = f"{PORTAL}.engine"
    assert (
        written(each for each in imports() if inside(each.what, engine) and not inside(each.by, engine)) == []
    )


def test_no_import_hides_in_a_function() -> None:
    assert written(each for each in imports() if each.in_function) == []
