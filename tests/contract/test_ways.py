"""A dataset gets one verdict by every way in, and the trainer the same pairs and pixels.

The file that arrives at the engine is read as a training reads it. `make test` sends each choice by one way,
and by each way files that are as they should be and files that are to be repaired; `make test-slow` sends
each combination by each way. The browser's page is in tests/e2e/test_same_pairs.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from finetune_portal.accounts.models import User
from finetune_portal.datasets.checker.inspect import inspect_zip
from finetune_portal.engine import datasets
from finetune_portal.engine.images import pixels
from tests.contract.combinations import TOLERANCE, Combination, Shown, covering, dataset, few
from tests.contract.ways import Delivery, Ways
from tests.people import person
from tests.running import RunningEngine
from tests.web_server import WebServer

WAYS = ("form", "gateway", "address")

ALL = covering(60)[0]


def share_of(way: str) -> list[Combination]:
    """The part of this way in the few combinations that have every choice."""
    return few()[WAYS.index(way) :: len(WAYS)]


CASES = [
    pytest.param(way, which, id=f"{way}, {which}", marks=[pytest.mark.slow] if which == "the others" else [])
    for way in WAYS
    for which in ("its share", "the others")
]


@pytest.fixture
def ways(web: WebServer, engine: RunningEngine, settings: Any, tmp_path: Path) -> Ways:
    return Ways(person("alice", User.Role.MAKER), engine, web, settings, tmp_path)


@pytest.mark.parametrize(("way", "which"), CASES)
def test_one_verdict_by_every_way_in(way: str, which: str, ways: Ways, tmp_path: Path) -> None:
    share = share_of(way)
    combinations = share if which == "its share" else [each for each in ALL if each not in share]
    faults = {}
    for each in combinations:
        content, shown = dataset(each)
        (tmp_path / "direct.zip").write_bytes(content)
        direct = inspect_zip(tmp_path / "direct.zip").as_json()
        if fault := differs(getattr(ways, way)(content), direct, shown):
            faults[str(each)] = fault
    assert faults == {}


def differs(delivery: Delivery, direct: dict[str, Any], shown: list[tuple[str, Shown]]) -> str:
    """What a way did otherwise than the check alone, or than the pictures show; empty where it is right."""
    if delivery.verdict != _json(direct):
        return f"the verdict is {delivery.verdict}"
    if direct["problems"] and direct["problems"][0] not in delivery.refusal:
        return f"a refusal says {delivery.refusal!r}"
    if direct["problems"] and not direct["repairs"]:
        return "" if delivery.file is None else "a refused file is at the engine"
    if delivery.file is None:
        return "nothing is at the engine"
    datasets.check(delivery.file, instance_prompt="", check_image=pixels.check)
    seen = {
        pair.instruction: pixels.decode(pair.target.content).getpixel((9, 9))
        for pair in datasets.pairs(delivery.file, instance_prompt="")
    }
    wanted = {caption: pytest.approx(colour, abs=TOLERANCE) for caption, colour in shown}
    return "" if seen == wanted else f"the trainer sees {seen}"


def _json(verdict: dict[str, Any]) -> dict[str, Any]:
    """The verdict as a row has it."""
    return dict(json.loads(json.dumps(verdict)))
