"""A portal of its own in this process, on SQLite in a passing folder: for what needs no network."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from tests import session_client as session_client


@contextmanager
def portal() -> Iterator[None]:
    """Models and views may be imported inside."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"DATA_DIR": folder, "DJANGO_SETTINGS_MODULE": "finetune_portal.settings", "DEBUG": "0"}
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        yield
