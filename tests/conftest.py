"""Fixtures that tests of every app share."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.contenttypes.management import create_contenttypes
from django.db import connection
from django.db.models.signals import post_migrate
from django.utils.timezone import now
from pytest_django.plugin import DjangoDbBlocker

from finetune_portal.audit import append_only
from finetune_portal.connections.models import Connection
from tests import databases, prepared
from tests.running import RunningEngine, start_engine

# Playwright keeps an event loop in the main thread, in which Django would refuse to ask the database.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
# Without bytecode on the disk, each of the hundreds of processes that tests start compiles the package anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

pytest_plugins = [
    "tests.examples",
    "tests.people",
    "tests.scheduling",
    "tests.web_server",
    "tests.fal.account",  # after those that it imports
    "tests.replicate.account",
]
StartEngine = Callable[..., RunningEngine]


@pytest.fixture(scope="session", autouse=True)
def a_flush_only_empties() -> None:
    """Django would make anew after each flush what the portal asks for nowhere, and that takes longer.

    It is the permissions of each model, and the table of models, where Django adds what it misses.
    """
    post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")
    post_migrate.disconnect(create_contenttypes)


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest, django_test_environment: None, django_db_blocker: DjangoDbBlocker
) -> None:
    """A migrated database; on SQLite it is copied. The audit log cannot be emptied, but tests empty it."""
    post_migrate.disconnect(append_only.install, sender=apps.get_app_config("audit"))
    if connection.vendor == "sqlite":
        with django_db_blocker.unblock():
            databases.copy_into_memory(prepared.built())
    else:
        request.getfixturevalue("django_db_setup")
    with django_db_blocker.unblock():
        append_only.remove()
        # As if the worker looks an hour from now: no page of any test calls it overdue, however late it runs.
        Connection.objects.update(due_at=now() + timedelta(hours=1))


@pytest.fixture(scope="session", autouse=True)
def databases_are_dropped() -> Iterator[None]:
    yield
    databases.drop_all()


@pytest.fixture(scope="session")
def say(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Print a figure that a reader of the run wants to see, though the test passes."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def aloud(text: str) -> None:
        with capture.global_and_fixture_disabled():
            sys.stdout.write(f"\n{text}\n")

    return aloud


@pytest.fixture
def without_collector() -> Iterator[None]:
    """No garbage is collected: for tests of bodies that end the stack, where each finalizer would fail."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEngine]:
    """One engine for the whole run. Tests that stop it or need their own settings take `engines`."""
    with start_engine(tmp_path_factory.mktemp("engine")) as running:
        yield running


@pytest.fixture
def engines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartEngine]:
    """Start engines of one's own: `engines(ENGINE_TIME_SCALE="1")`."""
    with ExitStack() as stack:

        def start(data_dir: Path | None = None, **environment: str) -> RunningEngine:
            folder = data_dir or tmp_path_factory.mktemp("engine")
            return stack.enter_context(start_engine(folder, **environment))

        yield start
