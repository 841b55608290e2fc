"""The loss curves as numbers, for the caption and the table beside the drawing."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean

from finetune_portal.jobs.models import Training

ROWS = 10
TENTHS = 10  # the means of the first and last tenth of the points stand for start and end


@dataclass(frozen=True)
class Row:
    """The mean loss of the steps since the previous row, and the latest losses of the held-out pair."""

    step: int
    loss: float | None
    held_out: float | None
    weighted: float | None


@dataclass(frozen=True)
class Change:
    """A loss at the start and at the end; `percent` is the decrease, negative for a rise."""

    first: float
    last: float

    @property
    def percent(self) -> float:
        return 100 * (1 - self.last / self.first) if self.first else 0.0


@dataclass(frozen=True)
class Curves:
    training: Training

    @property
    def loss(self) -> Change | None:
        losses = [loss for _, loss in self.training.losses]
        share = max(1, len(losses) // TENTHS)
        return Change(fmean(losses[:share]), fmean(losses[-share:])) if len(losses) > 1 else None

    @property
    def held_out(self) -> Change | None:
        return _change(self.training.held_out)

    @property
    def weighted(self) -> Change | None:
        """The held-out loss, weighted by the noise levels of a sample; not every provider reports it."""
        return _change(self.training.held_out_weighted)

    @property
    def is_worse(self) -> bool:
        """Whether the held-out loss is above that of the untrained model, weighted if that is known."""
        change = self.weighted or self.held_out
        return bool(change and change.last > change.first)

    @property
    def rows(self) -> list[Row]:
        steps = sorted(step for step, _ in (*self.training.losses, *self.training.held_out))
        ends = sorted(
            {steps[-(-len(steps) * part // ROWS) - 1] for part in range(1, ROWS + 1)} if steps else ()
        )
        return [self._row(after, end) for after, end in zip([-1, *ends], ends, strict=False)]

    def _row(self, after: int, end: int) -> Row:
        losses = [loss for step, loss in self.training.losses if after < step <= end]
        curves = (self.training.held_out, self.training.held_out_weighted)
        held_out = [[loss for step, loss in curve if after < step <= end] for curve in curves]
        latest = [points[-1] if points else None for points in held_out]
        return Row(end, fmean(losses) if losses else None, *latest)


def _change(curve: list[list[float]]) -> Change | None:
    return Change(curve[0][1], curve[-1][1]) if len(curve) > 1 else None
