"""Which tests share an xdist worker, and which groups start first.

The tests of one group run in one worker, one after the other: a file, or a folder whose tests share a
browser and a portal. The groups that take longest start first, so that no worker ends long after the others.
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

FOLDERS = ("tests/e2e/live", "tests/e2e/whole", "tests/e2e")
LONGEST = (
    *(
        "tests/e2e",
        "tests/e2e/live",
        "tests/e2e/whole",
        "tests/operations/test_up.py",
        "tests/operations/test_backups.py",
        "tests/upgrade",
    ),
    *("tests/engine", "tests/faults", "tests/gateway/test_sdk_and_openapi.py", "tests/jobs/test_live.py"),
    *("tests/test_secrets.py", "tests/providers", "tests/test_fuzz.py", "tests/test_access.py"),
)


def group_of(node_id: str) -> str:
    """The file of this test, or the folder that it shares."""
    file = node_id.partition("::")[0]
    return next((folder for folder in FOLDERS if file.startswith(f"{folder}/")), file)


def rank(group: str) -> int:
    """The first of the longest that this group is or lies in."""
    ranks = (at for at, path in enumerate(LONGEST) if f"{group}/".startswith(f"{path}/"))
    return next(ranks, len(LONGEST))


class GroupScheduling(LoadScopeScheduling):
    def __init__(self, config: pytest.Config, log: Any) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # keep the order of the collection

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling:
    return GroupScheduling(config, log)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by group. Within one the order stays as it is: pytest-django puts what empties tables last."""
    items.sort(key=lambda item: (rank(group_of(item.nodeid)), group_of(item.nodeid)))
