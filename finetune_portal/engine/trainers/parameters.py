"""The parameters that `advance_parameters` may set beside steps and learning_rate (docs/training.md)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

# Checked elsewhere (the first two) or only echoed, as the vendor's list does.
NOT_OURS = ("steps", "learning_rate", "prompt", "theme")
MEMORY_ADVICE = (
    "Set advance_parameters to use less: a smaller resolution, batch_size 1, a smaller rank, "
    "memory int8 or small."
)


class ParameterError(Exception):
    """Says what is wrong with a parameter, in a sentence that names it."""


@dataclass(frozen=True)
class Whole:
    default: int
    least: int
    most: int

    def read(self, name: str, value: object) -> int:
        number = Number(self.default, self.least, self.most).read(name, value)
        if number != int(number):
            raise ParameterError(f"{name} must be a whole number.")
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
            raise ParameterError(f"{name} must be a number from {self.least} to {self.most}.")
        return number


@dataclass(frozen=True)
class Choice:
    default: str | bool
    choices: Mapping[str, str | bool]

    def read(self, name: str, value: object) -> str | bool:
        if (spelled := str(value).lower()) not in self.choices:
            raise ParameterError(f"{name} must be one of: {', '.join(self.choices)}.")
        return self.choices[spelled]


def _flag(default: bool) -> Choice:
    return Choice(default, {"true": True, "false": False})


Known = Whole | Number | Choice
KNOWN: dict[str, Known] = {
    "rank": Whole(16, 1, 256),
    "alpha": Whole(0, 0, 1024),  # 0: as the rank
    "feed_forward": _flag(True),
    "modulation": _flag(True),
    "resolution": Whole(0, 0, 2048),  # 0: the model's own
    "batch_size": Whole(1, 1, 64),
    "gradient_accumulation_steps": Whole(1, 1, 64),
    "lr_scheduler": Choice("constant", {each: each for each in ("constant", "cosine")}),
    "warmup_steps": Whole(20, 0, 10_000),
    "gradient_clipping": Number(1.0, 0.001, 1000.0),
    "guidance": Number(1.0, 0.0, 30.0),
    "seed": Whole(0, 0, 2**31 - 1),
    "memory": Choice("auto", {each: each for each in ("auto", "full", "int8", "small")}),
    "hold_out": _flag(True),
    "checkpoint_steps": Whole(50, 1, 10_000),
    "timestep_sampling": Choice("shifted", {each: each for each in ("shifted", "uniform", "logit_normal")}),
    "sample_steps": Whole(0, 0, 20_000),  # 0: a quarter of the steps
}


def of(
    *, lacks: Collection[str], defaults: Mapping[str, Any], bounds: Mapping[str, Known]
) -> dict[str, Known]:
    """Those of a base model, which lacks some and has other defaults or bounds for some."""
    return {
        name: replace(known, default=defaults.get(name, known.default))
        for name, known in {**KNOWN, **bounds}.items()
        if name not in lacks
    }


def read(advance_parameters: Mapping[str, Any], known: Mapping[str, Known] = KNOWN) -> dict[str, Any]:
    """Check what was set of those that are known. Raises ParameterError at the first fault."""
    parameters = {}
    for name, value in advance_parameters.items():
        if name in NOT_OURS:
            continue
        if name not in known:
            raise ParameterError(
                f"advance_parameters has {name!r}, which is not known. Known: {', '.join(known)}."
            )
        parameters[name] = known[name].read(name, value)
    return parameters


def with_defaults(parameters: Mapping[str, Any], known: Mapping[str, Known] = KNOWN) -> dict[str, Any]:
    return {name: parameters.get(name, each.default) for name, each in known.items()}
