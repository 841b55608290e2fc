"""The portal's table of the engine's parameters beside the engine's own: each is written by itself."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from finetune_portal.engine.trainers import parameters as engine
from finetune_portal.providers.parameter import Parameter
from finetune_portal.providers.segmind import parameters as portal

GUIDE = Path(__file__).resolve().parents[2] / "docs/training.md"


def as_the_engine_says(known: engine.Whole | engine.Number | engine.Choice) -> dict[str, Any]:
    """Type, range, choices and default of one parameter, in the words of the portal."""
    if isinstance(known, engine.Choice):
        is_flag = set(known.choices.values()) == {True, False}
        choices = () if is_flag else tuple(known.choices)
        return {"type": "flag" if is_flag else "choice", "range": (0, 0), "choices": choices}
    kind = "whole" if isinstance(known, engine.Whole) else "number"
    return {"type": kind, "range": (known.least, known.most), "choices": ()}


def as_the_portal_says(known: Parameter) -> dict[str, Any]:
    return {"type": known.type, "range": (known.least, known.most), "choices": known.choices}


def test_names_types_ranges_and_defaults_are_the_engines() -> None:
    assert list(portal.KNOWN) == list(engine.KNOWN)
    for name, known in portal.KNOWN.items():
        assert (name, as_the_portal_says(known)) == (name, as_the_engine_says(engine.KNOWN[name]))
        default = engine.KNOWN[name].default
        assert (name, known.default, type(known.default)) == (name, default, type(default))
        assert known.default is not None
        assert known.read(known.default) == default, "a default is a value that may be sent"


def test_the_guide_names_the_same_defaults() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \| .+ \|$", GUIDE.read_text(), re.MULTILINE)
    assert dict(rows) == {name: str(known.default).lower() for name, known in engine.KNOWN.items()}
