"""What is inside the portal, for scanners: `make sbom` writes sbom.json, in CycloneDX 1.6.

Lists the packages of requirements.txt that this system gets, what static/ holds of others, and htmx, which
comes inside django-htmx. The licence of a package is what its installed metadata states; that of a file in
static/ is the text that lies beside it. A list that is not valid, or lacks a package, is not written.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterator
from importlib.metadata import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema_rs
from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion, _res
from packageurl import PackageURL

from tests.locks import for_this_system

ROOT = Path(__file__).resolve().parent.parent
KINDS = {"SIL Open Font License": "OFL-1.1", "Permission is hereby granted, free of charge": "MIT"}
URL = "http://cyclonedx.org/schema"  # by which the schema names its parts
FILE = re.compile(r"(?P<name>.+?)-(?P<version>\d+(?:\.\d+)+)(?:\.\w+)+")


def bom() -> Bom:
    product = Component(name="finetune-portal", type=ComponentType.APPLICATION)
    whole = Bom(components=[*packages(), *static_files(), htmx()])
    whole.metadata.component = product
    whole.register_dependency(product, whole.components)
    return whole


def document() -> str:
    return make_outputter(bom(), OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=2)


def faults(document: dict[str, Any]) -> list[str]:
    """What is wrong with a list: where it breaks the schema of CycloneDX, and which packages it lacks."""
    parts = {f"{URL}/{Path(file).name}": _schema(file) for file in (_res.SPDX_JSON, _res.JSF)}
    validator = jsonschema_rs.Draft7Validator(
        _schema(_res.BOM_JSON_STRICT[SchemaVersion.V1_6]), registry=jsonschema_rs.Registry([*parts.items()])
    )
    errors = validator.iter_errors(document)
    invalid = [f"{'/'.join(map(str, each.instance_path))}: {each.message}" for each in errors]
    listed = {each.get("purl") for each in document.get("components", [])}
    locked = for_this_system("requirements.txt").items()
    wanted = (f"pkg:pypi/{name}@{version}" for name, version in locked)
    return [*invalid, *(f"{each} is missing." for each in wanted if each not in listed)]


def _schema(file: str | None) -> Any:
    """A schema as the library brings it: it is not fetched."""
    return json.loads(Path(file or "").read_text(encoding="utf-8"))


def component(name: str, version: str | None, licence: str, registry: str | None, *files: Path) -> Component:
    """A font comes from no registry."""
    return Component(
        name=name,
        version=version,
        type=ComponentType.LIBRARY,
        licenses=[LicenseFactory().make_from_string(licence)],
        purl=registry and PackageURL(registry, name=name, version=version),
        hashes=[
            HashType(alg=HashAlgorithm.SHA_256, content=hashlib.sha256(file.read_bytes()).hexdigest())
            for file in files
        ],
    )


def packages() -> Iterator[Component]:
    for name, version in for_this_system("requirements.txt").items():
        yield component(name, version, licence_of(name), "pypi")


def licence_of(package: str) -> str:
    """An SPDX expression where the package states one, or else its own words."""
    stated = metadata(package)
    short = stated["License"] if "\n" not in (stated["License"] or "\n") else None
    words = [each.split(" :: ")[-1] for each in stated.get_all("Classifier") or [] if "License" in each]
    return stated["License-Expression"] or short or " and ".join(words) or "unknown"


def static_files() -> Iterator[Component]:
    """One component a folder of static/vendor and static/fonts; a version stands in the name of its file."""
    for folder in sorted((*(ROOT / "static/vendor").iterdir(), *(ROOT / "static/fonts").iterdir())):
        text = (folder / "LICENSE").read_text(encoding="utf-8")
        licence = next(spdx for words, spdx in KINDS.items() if words in text)
        files = sorted(each for each in folder.iterdir() if each.name != "LICENSE")
        versions = [named["version"] for file in files if (named := FILE.fullmatch(file.name))]
        registry = "npm" if folder.parent.name == "vendor" else None
        yield component(folder.name, versions[0] if versions else None, licence, registry, *files)


def htmx() -> Component:
    spec = find_spec("django_htmx")
    if spec is None or spec.origin is None:
        sys.exit("django-htmx is not installed here.")
    file = Path(spec.origin).parent / "static/django_htmx/htmx-2.min.js"
    match = re.search(r'version:"([\d.]+)"', file.read_text(encoding="utf-8"))
    return component("htmx.org", match and match[1], "0BSD", "npm", file)


if __name__ == "__main__":
    written = document()
    if wrong := faults(json.loads(written)):
        sys.exit("\n".join(wrong))
    sys.stdout.write(written)
