"""A command that works with what an operator set says first what cannot work."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks.registry import registry
from django.core.management import get_commands, load_command_class
from django.core.management.base import SystemCheckError

from finetune_portal.web.checks import ENVIRONMENT

COMMANDS = ("up", "work", "backup", "restore", "rotate_encryption_keys", "reseal")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_address_stops_it(name: str, settings: Any) -> None:
    settings.PORTAL_URL = "ftp://portal.example.com"
    command = load_command_class(get_commands()[name], name)
    tags = command.requires_system_checks
    with pytest.raises(SystemCheckError, match="portal.E002"):
        command.check(tags=None if tags == "__all__" else tags)


def test_it_runs_every_check_of_the_portal() -> None:
    ours = [check for check in registry.get_checks() if check.__module__.startswith("finetune_portal.")]
    assert len(ours) > 5
    assert [check for check in ours if ENVIRONMENT not in check.tags] == []
