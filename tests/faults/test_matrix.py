"""Nothing is lost and nothing is paid twice, wherever a process dies or an exchange breaks (S4 to S8, W3)."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

import pytest

from tests.faults.cases import kills, run
from tests.faults.portal import Workshop
from tests.faults.targets import Case

LEAST = 500  # at each provider


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
    """One for the kills, by condition, and one for the harms of the proxy, by call."""
    by_condition = Counter(
        {(column, row): count for (row, column), count in runs.items() if "kill -9" in row}
    )
    by_call = Counter({key: count for key, count in runs.items() if "proxy" in key[0]})
    for counts in (by_condition, by_call):
        rows, columns = ([*dict.fromkeys(key[at] for key in counts)] for at in (0, 1))
        yield f"{'':<22}" + "".join(f"{column:>17}" for column in columns)
        for row in rows:
            yield f"{row:<22}" + "".join(f"{counts[row, column] or '-':>17}" for column in columns)


def counted(bad: list[str]) -> str:
    twice, lost = (sum(f": {kind}: " in fault for fault in bad) for kind in ("duplicate", "lost"))
    return f"{twice} submits sent twice without a choice, {lost} lost, {len(bad) - twice - lost} other faults"


@pytest.mark.long
def test_a_sample_of_kills_and_harms(each_workshop: Workshop, say: Callable[[str], None]) -> None:
    cases = list(each_workshop.target.sample())
    runs, bad = go_through(each_workshop, cases)
    say(f"{each_workshop.target}: {runs.total()} kills and harms, {counted(bad)}")
    assert bad == []
    assert runs.total() == len(cases), runs


@pytest.mark.slow
def test_every_kill_and_every_harm(each_workshop: Workshop, say: Callable[[str], None]) -> None:
    began = time.monotonic()
    runs, bad = go_through(each_workshop, [*kills(each_workshop), *each_workshop.target.harms()])
    table = "\n".join(tables(runs))
    seconds = time.monotonic() - began
    say(f"{table}\n{each_workshop.target}: {runs.total()} runs in {seconds:.0f} s, {counted(bad)}")
    assert bad == []
    assert runs.total() >= LEAST
