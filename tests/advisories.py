"""Known holes in the packages that we use: `python -m tests.advisories`, in .ci/run.

Asks pip-audit about everything that is installed here for the portal and its tests, at its version, and
about the packages of requirements-train.txt for this system, installed or not: first at PyPI, then at OSV.
A vulnerability fails, and so does a package that could not be looked up while others could: pip-audit alone
would pass over it. (Its `--strict` stops at the first such package, and so cannot tell one from all.)

Where neither source can be reached, that is no pass: it ends with 3, and .ci/run repeats it at its end. Then
only the versions are held against the short list below. It knows some holes that were public when it was
last edited, and is no audit.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.locks import for_this_system

# The first version without the named hole, as of November 2026.
LEAST = {
    "brotli": ("1.2.0", "CVE-2025-6176"),
    "certifi": ("2024.7.4", "CVE-2024-39689"),
    "cryptography": ("46.0.5", "CVE-2026-26007"),
    "django": ("5.2.15", "GHSA-8cjm-8mp7-r2xf"),
    "gunicorn": ("22.0.0", "CVE-2024-1135, CVE-2024-6827"),
    "idna": ("3.7", "CVE-2024-3651"),
    "pillow": ("12.3.0", "CVE-2026-59205"),
    "requests": ("2.32.4", "CVE-2024-47081"),
    "sqlparse": ("0.5.0", "CVE-2024-4340"),
    "urllib3": ("2.7.0", "CVE-2026-44431, CVE-2026-44432"),
}
SOURCES = ("pypi", "osv")
PASSED, FAILED, NOT_AUDITED = 0, 1, 3  # Python itself ends with 1 and 2
NO_WAY = ("ConnectionError", "ProxyError", "Max retries exceeded", "NewConnectionError")


@dataclass(frozen=True)
class Verdict:
    """What pip-audit found out; nothing at all when it reached no source."""

    packages: int
    holes: list[str]
    skipped: list[str]

    @property
    def is_audit(self) -> bool:
        return len(self.skipped) < self.packages


def pins() -> str:
    """Every package here and its version, but for pip and its like; and what real training asks for."""
    command = [sys.executable, "-m", "pip", "freeze", "--disable-pip-version-check"]
    frozen = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    installed = {canonicalize_name(name): pin for name, _, pin in (line.partition("==") for line in frozen)}
    packages = for_this_system("requirements-train.txt") | installed
    return "\n".join(f"{name}=={pin}" for name, pin in sorted(packages.items()))


def ask(requirements: str) -> Verdict:
    """The first source that answers decides."""
    answers = (ask_at(source, requirements) for source in SOURCES)
    return next((answer for answer in answers if answer.is_audit), Verdict(0, [], []))


def ask_at(source: str, requirements: str) -> Verdict:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pins.txt"
        file.write_text(requirements)
        options = ["--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
        where = ["--vulnerability-service", source, "--requirement", str(file)]
        command = [sys.executable, "-m", "pip_audit", *options, *where]
        ran = subprocess.run(command, capture_output=True, text=True)
    if ran.stdout.startswith("{"):
        return verdict(json.loads(ran.stdout)["dependencies"])
    if any(word in ran.stderr for word in NO_WAY):
        return Verdict(0, [], [])
    sys.exit(f"pip-audit failed:\n{ran.stderr}")


def verdict(dependencies: list[dict[str, Any]]) -> Verdict:
    skipped = [each["name"] for each in dependencies if "skip_reason" in each]
    holes = [
        f"{each['name']} {each['version']}: {hole['id']}, fixed in {' or '.join(hole['fix_versions']) or '–'}"
        for each in dependencies
        for hole in each.get("vulns", [])
    ]
    return Verdict(len(dependencies), holes, skipped)


def known_bad() -> list[str]:
    holes = []
    for name, (least, hole) in LEAST.items():
        try:
            here = version(name)
        except PackageNotFoundError:
            continue
        if Version(here) < Version(least):
            holes.append(f"{name} {here}: {hole}, fixed in {least}")
    return holes


def judge(report: Verdict) -> int:
    """Tell it, and the exit status."""
    if report.is_audit:
        bad = [*report.holes, *(f"{name}: could not be looked up" for name in report.skipped)]
        say(f"{report.packages} packages audited, {len(bad)} findings.")
    else:
        bad = known_bad()
        say("NOT AUDITED: neither PyPI's advisories nor OSV can be reached from here.")
        say(f"Only {len(LEAST)} packages were held against a list of known holes, {len(bad)} findings.")
    for line in bad:
        say(f"  {line}")
    if bad:
        return FAILED
    return PASSED if report.is_audit else NOT_AUDITED


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(judge(ask(pins())))
