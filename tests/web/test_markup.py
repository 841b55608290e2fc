"""Templates, stylesheets and scripts agree on the names that they share."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES, SHEETS, SCRIPTS = (
    (ROOT / "templates", "*.html"),
    (ROOT / "static/css", "*.css"),
    (ROOT / "static/js", "*.js"),
)
BY_LIBRARIES = re.compile(r"u-|uplot$|htmx-|icon$")  # uPlot, htmx, and the tag {% icon %}
BY_INCLUDES = {"tiny", "large", "spins"}  # passed to a piece or a tag as a parameter


def text_of(kind: tuple[Path, str]) -> str:
    folder, pattern = kind
    return "\n".join(path.read_text() for path in sorted(folder.rglob(pattern)))


def code_of(kind: tuple[Path, str]) -> str:
    return re.sub(r"/\*.*?\*/", "", text_of(kind), flags=re.DOTALL)


def classes_in_templates() -> set[str]:
    values = re.findall(r'class="([^"]*)"', re.sub(r"\{[%{].*?[%}]\}", " ", text_of(TEMPLATES)))
    return set(chain.from_iterable(value.split() for value in values))


def attributes_in_scripts() -> set[str]:
    """Those of selectors, and those read by `dataset`, but for what scripts write themselves."""
    scripts = code_of(SCRIPTS)
    unpacked = ",".join(re.findall(r"\{([^{}]*)\} = [^;]*?\bdataset;", scripts))
    read = re.findall(r"dataset\??\.(\w+)", scripts) + re.findall(r"(\w+)(?::\s*\w+)?", unpacked)
    names = {"data-" + re.sub(r"[A-Z]", lambda letter: f"-{letter[0].lower()}", name) for name in read}
    return names | set(re.findall(r"\[(data-[a-z-]*[a-z])\]", scripts))


def test_every_class_of_a_stylesheet_is_used() -> None:
    styled = set(
        re.findall(r"\.([a-zA-Z][\w-]*)", re.sub(r'@import "[^"]*"|url\("[^"]*"\)', "", code_of(SHEETS)))
    )
    unused = {name for name in styled - classes_in_templates() - BY_INCLUDES if not BY_LIBRARIES.match(name)}
    assert {name for name in unused if f'"{name}"' not in code_of(SCRIPTS)} == set()


def test_every_data_attribute_of_a_script_is_in_a_template() -> None:
    in_templates = set(re.findall(r"\bdata-[a-z-]*[a-z]", text_of(TEMPLATES)))
    by_python = {"data-pending"}  # datasets/preview_images.py
    assert attributes_in_scripts() - in_templates - by_python == {"data-link", "data-new"}


@pytest.mark.parametrize("name", sorted(set(re.findall(r'data-time="(\w+)"', text_of(TEMPLATES)))))
def test_every_format_of_a_time_exists(name: str) -> None:
    formats = re.search(r"const FORMATS = \{(.*?)\};", code_of(SCRIPTS), re.DOTALL)
    assert formats
    assert re.search(rf"\b{name}\b", formats[1])
