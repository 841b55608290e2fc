"""Static files with a hash in their name, so that browsers may cache them for ever."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from functools import cache
from hashlib import sha384
from typing import Any, cast

from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.core.files.base import ContentFile
from django.core.files.storage import InMemoryStorage, Storage
from whitenoise.storage import CompressedManifestStaticFilesStorage

SHEET = "css/portal.css"
IMPORT = re.compile(r'^@import "([\w.-]+)" layer\((\w+)\);$', re.MULTILINE)
HASHED = re.compile(r"\.[0-9a-f]{12}\.\w+$")
Paths = dict[str, tuple[Storage, str]]


class HashedStaticFilesStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # whitenoise has no types
    """Also rewrite imports between our own ES modules. Imports inside vendored packages stay as they are."""

    patterns = (
        *CompressedManifestStaticFilesStorage.patterns,
        ("js/*.js", CompressedManifestStaticFilesStorage._js_module_import_aggregation_patterns[1]),  # noqa: SLF001
    )

    def post_process(self, paths: Paths, dry_run: bool = False, **options: Any) -> Iterator[Any]:
        """Bundle the stylesheet into one file, so that no page waits for an import."""
        if SHEET in paths:
            bundle = InMemoryStorage()
            bundle.save(SHEET, ContentFile(_bundle(paths)))
            paths = {**paths, SHEET: (bundle, SHEET)}
        yield from super().post_process(paths, dry_run, **options)

    def compress_files(self, paths: Iterable[str]) -> Iterator[Any]:
        """Compress only hashed names, which pages use, and that no earlier start compressed."""
        hashed = (path for path in paths if HASHED.search(path))
        yield from super().compress_files(path for path in hashed if not self.exists(f"{path}.gz"))


def integrity(name: str) -> str:
    """Return the SRI digest that a browser checks a script against; empty in DEBUG, where files change."""
    is_hashed = isinstance(staticfiles_storage, HashedStaticFilesStorage) and not settings.DEBUG
    return _digest(name) if is_hashed else ""


@cache
def _digest(name: str) -> str:
    storage = cast(HashedStaticFilesStorage, staticfiles_storage)
    with storage.open(storage.stored_name(name)) as file:
        return f"sha384-{b64encode(sha384(file.read()).digest()).decode()}"


def _bundle(paths: Paths) -> str:
    def read(name: str) -> str:
        storage, path = paths[name]
        with storage.open(path) as file:
            return str(file.read().decode())

    return IMPORT.sub(lambda match: f"@layer {match[2]} {{\n{read(f'css/{match[1]}')}}}", read(SHEET))
