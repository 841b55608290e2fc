"""How the answer of pip-audit is judged; the asking itself is a step of .ci/run."""

from __future__ import annotations

from typing import Any

from tests.advisories import Verdict, known_bad, verdict

FINE: dict[str, Any] = {"name": "django", "version": "5.2.19", "vulns": []}
SKIPPED: dict[str, Any] = {"name": "requests", "skip_reason": "not found"}
HOLE = {"id": "CVE-1", "fix_versions": ["5.2.20"]}


def test_one_skipped_package_is_a_finding_and_all_of_them_are_no_audit() -> None:
    """C1"""
    assert verdict([FINE, SKIPPED]) == Verdict(2, [], ["requests"])
    assert verdict([FINE, SKIPPED]).is_audit
    assert not verdict([SKIPPED]).is_audit
    assert not verdict([]).is_audit


def test_a_hole_is_told_with_the_version_that_closes_it() -> None:
    found = verdict([{**FINE, "vulns": [HOLE]}])
    assert found.holes == ["django 5.2.19: CVE-1, fixed in 5.2.20"]


def test_nothing_here_is_on_the_short_list() -> None:
    assert known_bad() == []
