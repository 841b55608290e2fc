"""What is installed is locked, listed, and has its licence beside it."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
import yaml

from tests import sbom
from tests.locks import ROOT, for_this_system, requirements

HASHED = ["requirements.txt", "requirements-dev.txt"]
LOCKS = [*HASHED, "requirements-train.txt"]
HASH = re.compile(r" \\\n    --hash=sha256:[0-9a-f]{64}")


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_one_exact_version_of_each_package_and_names_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert all(re.fullmatch(r"==[\w.]+", str(each.specifier)) for each in requirements(lock))
    wanted = {each.name for each in requirements(lock.replace(".txt", ".in"))}
    assert wanted <= {each.name for each in requirements(lock)}
    assert "://" not in text
    assert not re.search(r"^-|index-url|find-links", text, re.MULTILINE)


@pytest.mark.parametrize("lock", HASHED)
def test_each_package_of_portal_and_tests_has_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert len(re.findall(rf"^[\w.-]+==[^\\\n]+(?:{HASH.pattern})+$", text, re.MULTILINE)) == len(
        requirements(lock)
    )


def test_the_locks_agree_on_each_version() -> None:
    portal, tests, training = map(for_this_system, LOCKS)
    assert portal.items() <= tests.items()
    assert {name for name in training if training[name] != tests.get(name, training[name])} == set()


def test_the_lock_of_training_leaves_the_packages_of_a_gpu_to_torch() -> None:
    """They differ by the build of torch, and take gigabytes where there is no GPU."""
    names = {each.name for each in requirements("requirements-train.txt")}
    assert "torch" in names
    assert not [name for name in names if re.match(r"cuda|nvidia|triton", name)]


def test_pip_refuses_a_file_whose_hash_is_not_in_the_lock() -> None:
    """The Makefile and the Dockerfile install the portal by hashes alone."""
    made = subprocess.run(
        ["make", "--dry-run", "--always-make", ".venv/run", ".venv/dev", ".venv-train/run"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    dockerfile = (ROOT / "Dockerfile").read_text()
    installed = re.findall(r"pip install (.*)", made + dockerfile.replace("\\\n", ""))
    assert len(installed) == 5
    for command in installed:
        assert ("--require-hashes" in command) != ("requirements-train.txt" in command), command


def test_the_readme_says_what_each_package_of_the_portal_is_for() -> None:
    readme = (ROOT / "README.md").read_text()
    table = readme.partition("## What each dependency is for")[2].lower()
    for each in (*requirements("requirements.in"), *requirements("requirements-train.in")):
        assert re.search(rf"\b{re.escape(each.name)}\b", table), each.name


def test_each_foreign_file_has_its_licence_beside_it() -> None:
    folders = [each for name in ("vendor", "fonts") for each in (ROOT / "static" / name).iterdir()]
    assert len(folders) >= 4
    assert [each.name for each in folders if not (each / "LICENSE").is_file()] == []


def test_the_list_of_what_is_inside_is_complete() -> None:
    document = json.loads(sbom.document())
    listed = {each["name"]: each for each in document["components"]}
    assert document["bomFormat"] == "CycloneDX"
    assert for_this_system("requirements.txt").keys() < listed.keys()
    assert listed["django"]["purl"] == f"pkg:pypi/django@{listed['django']['version']}"
    assert {"fflate", "tus-js-client", "uplot", "inter", "htmx.org"} < listed.keys()
    assert all(each["licenses"] for each in listed.values())
    assert sbom.faults(document) == []


def test_a_list_that_lacks_a_package_or_is_not_valid_is_not_written() -> None:
    document = json.loads(sbom.document())
    kept = [each for each in document["components"] if each["name"] != "django"]
    (missing,) = sbom.faults({**document, "components": kept, "dependencies": []})
    assert re.fullmatch(r"pkg:pypi/django@[\d.]+ is missing\.", missing)
    invalid = sbom.faults({**document, "specVersion": 1.6, "unknown": True})
    assert any("unknown" in each for each in invalid)
    assert any(each.startswith("specVersion: ") for each in invalid)


def test_the_container_writes_to_its_volumes_alone_and_gains_no_rights() -> None:
    """In compose.yaml; the image has a user of its own."""
    portal = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["portal"]
    assert portal["read_only"] is True
    assert portal["cap_drop"] == ["ALL"]
    assert portal["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "user"} & portal.keys()
    users = re.findall(r"^USER (\S+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert users == ["10001"]
