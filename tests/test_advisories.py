"""How the answer of pip-audit is judged; asking about all packages is a step of .ci/run."""

from __future__ import annotations

from typing import Any

import pytest

from tests.advisories import FAILED, NOT_AUDITED, PASSED, Verdict, ask, judge, known_bad, verdict

FINE: dict[str, Any] = {"name": "django", "version": "5.2.19", "vulns": []}
SKIPPED: dict[str, Any] = {"name": "requests", "skip_reason": "not found"}
HOLE = {"id": "CVE-1", "fix_versions": ["5.2.20"]}


def test_one_skipped_package_is_a_finding_and_all_of_them_are_no_audit() -> None:
    """C1"""
    assert verdict([FINE, SKIPPED]) == Verdict(2, [], ["requests"])
    assert verdict([FINE, SKIPPED]).is_audit
    assert not verdict([SKIPPED]).is_audit
    assert not verdict([]).is_audit


@pytest.mark.parametrize(
    ("dependencies", "status", "output"),
    [
        ([FINE], PASSED, "1 packages audited, 0 findings."),
        ([{**FINE, "vulns": [HOLE]}], FAILED, "django 5.2.19: CVE-1"),
        ([FINE, SKIPPED], FAILED, "requests: could not be looked up"),
        ([SKIPPED], NOT_AUDITED, "NOT AUDITED"),
    ],
)
def test_only_an_audit_without_a_finding_passes(
    dependencies: list[dict[str, Any]], status: int, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert judge(verdict(dependencies)) == status
    assert output in capsys.readouterr().out


def test_where_no_source_is_in_reach_it_is_no_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The real pip-audit, behind a proxy that is not there."""
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    assert not ask("no-such-package-of-ours==0.0.1").is_audit


def test_a_hole_is_told_with_the_version_that_closes_it() -> None:
    report = verdict([{**FINE, "vulns": [HOLE]}])
    assert report.holes == ["django 5.2.19: CVE-1, fixed in 5.2.20"]


def test_nothing_here_is_on_the_short_list() -> None:
    assert known_bad() == []
