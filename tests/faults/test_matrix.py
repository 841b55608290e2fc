"""Nothing is lost and nothing is paid twice, wherever a process dies or an exchange breaks (S4 to S8, W3)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import pytest

from tests.faults.cases import Case, harms, kills, run, sample
from tests.faults.portal import Workshop

LEAST = 500


def go_through(workshop: Workshop, cases: Iterable[Case]) -> tuple[Counter[tuple[str, str]], list[str]]:
    """How often each kind of thing really happened, and what it did."""
    runs: Counter[tuple[str, str]] = Counter()
    bad = []
    for case in cases:
        result = run(workshop, case)
        runs[case.row, case.column] += result.happened
        bad += [f"{case}: {fault}" for fault in result.faults]
    return runs, bad


def tables(runs: Counter[tuple[str, str]]) -> Iterator[str]:
    """One for the kills, one for the harms of the proxy."""
    for kind in ("kill", "proxy"):
        rows = sorted({row for row, _ in runs if row.startswith(kind)})
        columns = sorted({column for row, column in runs if row in rows})
        yield f"{'':<22}" + "".join(f"{column:>13}" for column in columns)
        for row in rows:
            yield f"{row:<22}" + "".join(f"{runs[row, column] or '-':>13}" for column in columns)


def test_a_sample_of_kills_and_harms(workshop: Workshop, say: Callable[[str], None]) -> None:
    cases = list(sample())
    runs, bad = go_through(workshop, cases)
    say(f"{runs.total()} kills and harms, {len(bad)} faults")
    assert bad == []
    assert runs.total() == len(cases), runs


@pytest.mark.slow
def test_every_kill_and_every_harm(workshop: Workshop, say: Callable[[str], None]) -> None:
    began = time.monotonic()
    runs, bad = go_through(workshop, [*kills(workshop), *harms()])
    table = "\n".join(tables(runs))
    say(f"{table}\n{runs.total()} runs in {time.monotonic() - began:.0f} s, {len(bad)} faults")
    assert bad == []
    assert runs.total() >= LEAST
