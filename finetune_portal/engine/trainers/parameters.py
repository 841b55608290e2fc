"""What `advance_parameters` may set beside steps and learning_rate, with the defaults (docs/training.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# These are not ours to read: the first two have their own checks, the others are echoed by the vendor's list.
ELSEWHERE = ("steps", "learning_rate", "prompt", "theme")


class BadParameter(Exception):
    """What is wrong with a parameter, in a sentence that names it."""


@dataclass(frozen=True)
class Whole:
    default: int
    least: int
    most: int

    def read(self, name: str, value: object) -> int:
        number = Number(self.default, self.least, self.most).read(name, value)
        if number != int(number):
            raise BadParameter(f"{name} must be a whole number.")
        return int(number)


@dataclass(frozen=True)
class Number:
    default: float
    least: float
    most: float

    def read(self, name: str, value: object) -> float:
        try:
            number = float(value) if isinstance(value, str | int | float) else float("nan")
        except (ValueError, OverflowError):
            number = float("nan")
        if isinstance(value, bool) or not self.least <= number <= self.most:
            raise BadParameter(f"{name} must be a number from {self.least} to {self.most}.")
        return number


@dataclass(frozen=True)
class Choice:
    default: str | bool
    choices: Mapping[str, str | bool]

    def read(self, name: str, value: object) -> str | bool:
        if (spelled := str(value).lower()) not in self.choices:
            raise BadParameter(f"{name} must be one of: {', '.join(self.choices)}.")
        return self.choices[spelled]


def _flag(default: bool) -> Choice:  # noqa: FBT001
    return Choice(default, {"true": True, "false": False})


KNOWN: dict[str, Whole | Number | Choice] = {
    "rank": Whole(16, 1, 256),
    "alpha": Whole(0, 0, 1024),  # 0: as the rank
    "feed_forward": _flag(False),
    "resolution": Whole(0, 0, 2048),  # 0: the model's own
    "batch_size": Whole(1, 1, 64),
    "warmup_steps": Whole(20, 0, 10_000),
    "gradient_clipping": Number(1.0, 0.001, 1000.0),
    "guidance": Number(1.0, 0.0, 30.0),
    "seed": Whole(0, 0, 2**31 - 1),
    "memory": Choice("auto", {each: each for each in ("auto", "full", "small")}),
    "hold_out": _flag(True),
    "checkpoint_steps": Whole(50, 1, 10_000),
    "sample_steps": Whole(0, 0, 20_000),  # 0: a quarter of the steps
}


def read(advanced: Mapping[str, Any]) -> dict[str, Any]:
    """What was set, checked. Raises BadParameter with the first thing that is wrong."""
    found = {}
    for name, value in advanced.items():
        if name in ELSEWHERE:
            continue
        if name not in KNOWN:
            raise BadParameter(
                f"advance_parameters has {name!r}, which is not known. Known: {', '.join(KNOWN)}."
            )
        found[name] = KNOWN[name].read(name, value)
    return found


def complete(found: Mapping[str, Any]) -> dict[str, Any]:
    """With the defaults for all that was not set."""
    return {name: found.get(name, known.default) for name, known in KNOWN.items()}
