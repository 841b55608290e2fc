"""Static files under names that carry their hash, so that browsers keep them for ever."""

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


class HashedFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # whitenoise has no types
    """Also rewrites the imports between our own ES modules; those of packages are left as they came."""

    patterns = (
        *CompressedManifestStaticFilesStorage.patterns,
        ("js/*.js", CompressedManifestStaticFilesStorage._js_module_import_aggregation_patterns[1]),
    )

    def post_process(self, paths: Paths, dry_run: bool = False, **options: Any) -> Iterator[Any]:
        """Make the stylesheet one file, so that no page waits for an import."""
        if SHEET in paths:
            whole = InMemoryStorage()
            whole.save(SHEET, ContentFile(_whole(paths)))
            paths = {**paths, SHEET: (whole, SHEET)}
        yield from super().post_process(paths, dry_run, **options)

    def compress_files(self, paths: Iterable[str]) -> Iterator[Any]:
        """Only what pages name, which is by hash; what an earlier start packed is the same still."""
        hashed = (path for path in paths if HASHED.search(path))
        yield from super().compress_files(path for path in hashed if not self.exists(f"{path}.gz"))


def integrity(name: str) -> str:
    """What the browser holds a script against before it runs it; nothing while files are being edited."""
    packed = isinstance(staticfiles_storage, HashedFiles) and not settings.DEBUG
    return _digest(name) if packed else ""


@cache
def _digest(name: str) -> str:
    storage = cast(HashedFiles, staticfiles_storage)
    with storage.open(storage.stored_name(name)) as file:
        return f"sha384-{b64encode(sha384(file.read()).digest()).decode()}"


def _whole(paths: Paths) -> str:
    def read(name: str) -> str:
        storage, path = paths[name]
        with storage.open(path) as file:
            return str(file.read().decode())

    return IMPORT.sub(lambda found: f"@layer {found[2]} {{\n{read(f'css/{found[1]}')}}}", read(SHEET))
